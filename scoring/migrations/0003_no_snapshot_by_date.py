from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0002_config_previews")]

    operations = [
        migrations.RemoveIndex(model_name="dailyaccountintent", name="snapshot_by_date"),
    ]
