"""What Alembic runs: the migrations on the connection that `migrate.upgrade` has opened."""

from alembic import context

from image_builder.database.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
