from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0003_no_snapshot_by_date")]

    operations = [
        migrations.AddIndex(
            model_name="dailyaccountintent",
            index=models.Index(fields=["date", "top_lane", "top_lane_30d", "intent_score"], name="snapshot_by_date"),
        ),
    ]
