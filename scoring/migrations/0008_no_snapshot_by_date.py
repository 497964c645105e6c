from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0007_days_with_accounts")]

    operations = [
        migrations.RemoveIndex(model_name="dailyaccountintent", name="snapshot_by_date"),
    ]
