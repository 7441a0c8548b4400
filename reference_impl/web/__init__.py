"""What surrounds every HTTP request: answers, admission, documents."""
