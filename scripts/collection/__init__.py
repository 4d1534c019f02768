"""What the maintenance scripts know of the collection: its modules, their interfaces, their documents."""
