from django.db import migrations


def reserve(apps, schema_editor):
    """Answers that are on their way leave a record too."""
    generation = apps.get_model("conversations", "Generation")
    reservation = apps.get_model("conversations", "Reservation")
    for row in generation.objects.filter(settled_at=None).iterator():
        reservation.objects.create(
            reference=f"generation:{row.public_id}",
            user_id=row.requested_by_id,
            conversation_id=row.conversation_id,
            model=row.model,
            upstream=row.upstream,
            created_at=row.created_at,
            prompt_tokens=0,
            most_tokens=0,
            holds=[],
        )


class Migration(migrations.Migration):
    dependencies = [("conversations", "0005_catalogue_and_ledger")]
    operations = [migrations.RunPython(reserve, migrations.RunPython.noop)]
