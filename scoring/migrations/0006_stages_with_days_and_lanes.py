from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0005_no_snapshot_by_stage")]

    operations = [
        migrations.AddIndex(
            model_name="dailyaccountintent",
            index=models.Index(fields=["intent_stage", "date", "top_lane", "top_lane_30d"], name="snapshot_by_stage"),
        ),
    ]
