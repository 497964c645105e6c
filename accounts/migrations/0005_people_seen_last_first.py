from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_accounts_seen_last_first")]

    operations = [
        migrations.AddIndex(
            model_name="contact",
            index=models.Index(fields=["-last_seen_at", "email", "id"], name="contact_by_last_seen"),
        ),
    ]
