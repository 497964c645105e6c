from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="prospectcompany",
            index=models.Index(
                fields=[
                    "suppressed_as",
                    "merged_into",
                    "intent_stage",
                    "surge_level",
                    "top_lane",
                    "top_lane_30d",
                    "intent_score",
                    "owner",
                    "snapshot_date",
                ],
                name="company_for_counts",
            ),
        ),
    ]
