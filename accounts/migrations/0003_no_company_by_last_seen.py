from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_counts_from_an_index")]

    operations = [
        migrations.RemoveIndex(model_name="prospectcompany", name="company_by_last_seen"),
    ]
