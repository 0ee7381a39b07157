from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def give_snapshots_the_title_of_today(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    conversations = apps.get_model("conversations", "Conversation").objects
    title = conversations.filter(pk=models.OuterRef("conversation")).values("title")
    snapshots = apps.get_model("conversations", "Share").objects.filter(is_live=False)
    snapshots.update(title=models.Subquery(title))


class Migration(migrations.Migration):
    dependencies = [("conversations", "0012_labels")]

    operations = [
        migrations.AddField("share", "title", models.CharField(blank=True, db_default="", max_length=120)),
        migrations.AddField("user", "erased_at", models.DateTimeField(editable=False, null=True)),
        migrations.RunPython(give_snapshots_the_title_of_today, migrations.RunPython.noop),
    ]
