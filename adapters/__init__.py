"""Technology behind the application's ports; a class is named technology + port."""
