from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_no_company_by_last_seen")]

    operations = [
        migrations.AddIndex(
            model_name="prospectcompany",
            index=models.Index(
                fields=["-last_seen_at", "-intent_score", "-score_30d_raw", "domain"], name="company_by_last_seen"
            ),
        ),
    ]
