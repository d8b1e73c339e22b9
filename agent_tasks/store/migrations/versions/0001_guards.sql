-- What no constraint can say: terminal rows do not change, counters do not go back, history is not rewritten.

CREATE FUNCTION agent_tasks_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
END $$;

CREATE FUNCTION agent_tasks_only_acknowledge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.acknowledged_at IS NOT NULL
       OR to_jsonb(NEW) - 'acknowledged_at' - 'version'
           IS DISTINCT FROM to_jsonb(OLD) - 'acknowledged_at' - 'version' THEN
        RAISE EXCEPTION 'task % has ended as % and does not change any more', OLD.id, OLD.status
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER tasks_terminal BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN (OLD.finished_at IS NOT NULL)
    EXECUTE FUNCTION agent_tasks_only_acknowledge();

CREATE TRIGGER tasks_monotonic BEFORE UPDATE ON tasks FOR EACH ROW
    WHEN (NEW.version < OLD.version OR NEW.event_seq < OLD.event_seq OR NEW.run < OLD.run
          OR NEW.step_number < OLD.step_number)
    EXECUTE FUNCTION agent_tasks_refuse('version, event_seq, run and step_number of a task only grow');

CREATE TRIGGER checkpoints_append_only BEFORE UPDATE ON checkpoints FOR EACH ROW
    WHEN (NEW.state IS NOT NULL OR to_jsonb(NEW) - 'state' IS DISTINCT FROM to_jsonb(OLD) - 'state')
    EXECUTE FUNCTION agent_tasks_refuse('checkpoints are append-only; their state can only be purged');

CREATE TRIGGER events_append_only BEFORE UPDATE ON events FOR EACH ROW
    EXECUTE FUNCTION agent_tasks_refuse('events are append-only');
