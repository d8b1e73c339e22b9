"""What joins the system to others' frameworks; each package needs its framework, and nothing else imports it."""
