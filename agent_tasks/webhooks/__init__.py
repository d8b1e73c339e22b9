"""The deliverer: the process that sends webhooks, apart from steps and sweeps."""
