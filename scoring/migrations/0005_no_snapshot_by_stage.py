from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("scoring", "0004_days_with_lanes")]

    operations = [
        migrations.RemoveIndex(model_name="dailyaccountintent", name="snapshot_by_stage"),
    ]
