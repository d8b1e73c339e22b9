"""After paperless-ngx/paperless-ngx, `src/paperless/settings`: a key prefix, signed pickle, a process for each task."""
