from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0006_stages_with_days_and_lanes")]

    operations = [
        migrations.AddIndex(
            model_name="dailyaccountintent",
            index=models.Index(
                fields=["date", "prospect_company", "intent_score", "top_lane", "top_lane_30d"], name="snapshot_by_day"
            ),
        ),
    ]
