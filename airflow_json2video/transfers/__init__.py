"""What moves a render's files to where they are kept."""
