-- A database of 0.1.0, by pg_dump --inserts.
CREATE FUNCTION public.agent_tasks_only_acknowledge() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF OLD.sensitive AND NEW.input IS NULL AND to_jsonb(NEW) - 'input' = to_jsonb(OLD) - 'input' THEN
        RETURN NEW;
    END IF;
    IF OLD.acknowledged_at IS NOT NULL
       OR to_jsonb(NEW) - 'acknowledged_at' - 'version'
           IS DISTINCT FROM to_jsonb(OLD) - 'acknowledged_at' - 'version' THEN
        RAISE EXCEPTION 'task % has ended as % and does not change any more', OLD.id, OLD.status
            USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION public.agent_tasks_refuse() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation', TABLE = TG_TABLE_NAME;
END $$;
CREATE TABLE public.agent_tasks_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.agents (
    name text NOT NULL,
    definition jsonb NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.calls (
    task_id uuid NOT NULL,
    step_number integer NOT NULL,
    ordinal integer NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    at_most_once boolean NOT NULL,
    idempotency_key text NOT NULL,
    outcome jsonb,
    run integer NOT NULL,
    attempts integer DEFAULT 1 NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT calls_finished CHECK (((status = 'started'::text) = (finished_at IS NULL))),
    CONSTRAINT calls_status CHECK ((status = ANY (ARRAY['started'::text, 'completed'::text, 'failed'::text])))
);
CREATE TABLE public.checkpoints (
    task_id uuid NOT NULL,
    step_number integer NOT NULL,
    step text NOT NULL,
    next_step text,
    state jsonb,
    awaits jsonb,
    undo boolean DEFAULT false NOT NULL,
    run integer NOT NULL,
    seconds real NOT NULL,
    committed_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.events (
    task_id uuid NOT NULL,
    seq bigint NOT NULL,
    type text NOT NULL,
    data jsonb,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);
CREATE TABLE public.idempotency_keys (
    tenant text NOT NULL,
    subject text NOT NULL,
    key text NOT NULL,
    digest bytea NOT NULL,
    task_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);
CREATE TABLE public.schedules (
    name text NOT NULL,
    agent text NOT NULL,
    input jsonb NOT NULL,
    options jsonb NOT NULL,
    cron text,
    every_seconds double precision,
    timezone text NOT NULL,
    next_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone,
    last_task_id uuid,
    CONSTRAINT schedules_rhythm CHECK (((cron IS NULL) <> (every_seconds IS NULL)))
);
CREATE TABLE public.secrets (
    name text NOT NULL,
    value bytea NOT NULL
);
CREATE TABLE public.signals (
    seq bigint NOT NULL,
    task_id uuid NOT NULL,
    name text NOT NULL,
    payload jsonb,
    signal_id text,
    sender jsonb,
    sent_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    consumed_step integer
);
ALTER TABLE public.signals ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.signals_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.tasks (
    id uuid NOT NULL,
    agent text NOT NULL,
    status text NOT NULL,
    step text NOT NULL,
    step_number integer DEFAULT 0 NOT NULL,
    queue text NOT NULL,
    priority smallint DEFAULT 5 NOT NULL,
    parent_id uuid,
    root_id uuid NOT NULL,
    lineage_id uuid NOT NULL,
    resumed_from uuid,
    depth integer DEFAULT 0 NOT NULL,
    parent_step integer,
    child_index integer,
    children_left integer DEFAULT 0 NOT NULL,
    on_child_failure text,
    tenant text DEFAULT ''::text NOT NULL,
    identity jsonb,
    session_id text,
    metadata jsonb,
    callback_url text,
    sensitive boolean DEFAULT false NOT NULL,
    ttl_seconds double precision NOT NULL,
    input jsonb,
    result jsonb,
    error jsonb,
    traceback text,
    partial jsonb,
    progress jsonb,
    waiting_for jsonb,
    budget_seconds double precision,
    budget_tokens bigint,
    budget_usd numeric,
    budget_steps integer,
    budget_calls integer,
    spent_seconds double precision DEFAULT 0 NOT NULL,
    spent_tokens bigint DEFAULT 0 NOT NULL,
    spent_usd numeric DEFAULT 0 NOT NULL,
    spent_steps integer DEFAULT 0 NOT NULL,
    spent_calls integer DEFAULT 0 NOT NULL,
    reserved_tokens bigint DEFAULT 0 NOT NULL,
    reserved_usd numeric DEFAULT 0 NOT NULL,
    reserved_steps integer DEFAULT 0 NOT NULL,
    reserved_calls integer DEFAULT 0 NOT NULL,
    run integer DEFAULT 0 NOT NULL,
    worker text,
    attempt integer DEFAULT 0 NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    crashes integer DEFAULT 0 NOT NULL,
    rings smallint DEFAULT 0 NOT NULL,
    undoable integer DEFAULT 0 NOT NULL,
    undo_step integer,
    ending jsonb,
    due_at timestamp with time zone,
    version bigint DEFAULT 1 NOT NULL,
    event_seq bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    pending_since timestamp with time zone DEFAULT clock_timestamp(),
    started_at timestamp with time zone,
    claimed_at timestamp with time zone,
    finished_at timestamp with time zone,
    acknowledged_at timestamp with time zone,
    traceparent text,
    CONSTRAINT tasks_acknowledged CHECK (((acknowledged_at IS NULL) OR (finished_at IS NOT NULL))),
    CONSTRAINT tasks_child CHECK (((parent_id IS NULL) = (parent_step IS NULL))),
    CONSTRAINT tasks_children_left CHECK ((children_left >= 0)),
    CONSTRAINT tasks_completed CHECK (((status <> 'completed'::text) OR (error IS NULL))),
    CONSTRAINT tasks_error CHECK (((status = ANY (ARRAY['failed'::text, 'cancelled'::text, 'timeout'::text, 'partial'::text])) <= (error IS NOT NULL))),
    CONSTRAINT tasks_finished CHECK (((status = ANY (ARRAY['cancelled'::text, 'completed'::text, 'failed'::text, 'partial'::text, 'timeout'::text])) = (finished_at IS NOT NULL))),
    CONSTRAINT tasks_pending CHECK (((status <> 'pending'::text) OR (due_at IS NOT NULL))),
    CONSTRAINT tasks_reserved CHECK (((reserved_tokens >= 0) AND (reserved_usd >= (0)::numeric) AND (reserved_steps >= 0) AND (reserved_calls >= 0))),
    CONSTRAINT tasks_running CHECK (((status <> 'running'::text) OR ((worker IS NOT NULL) AND (due_at IS NOT NULL)))),
    CONSTRAINT tasks_spent CHECK ((spent_seconds >= (0)::double precision)),
    CONSTRAINT tasks_status CHECK ((status = ANY (ARRAY['cancelled'::text, 'completed'::text, 'failed'::text, 'partial'::text, 'pending'::text, 'running'::text, 'timeout'::text, 'waiting'::text]))),
    CONSTRAINT tasks_undoing CHECK ((((ending IS NULL) = (undo_step IS NULL)) OR (finished_at IS NOT NULL))),
    CONSTRAINT tasks_waiting CHECK (((status = 'waiting'::text) = (waiting_for IS NOT NULL)))
)
WITH (fillfactor='70');
CREATE TABLE public.watches (
    name text NOT NULL,
    since timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL
);
CREATE TABLE public.workers (
    id text NOT NULL,
    hostname text NOT NULL,
    pid integer NOT NULL,
    queues text[] NOT NULL,
    steps text[] NOT NULL,
    started_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    seen_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    stopped_at timestamp with time zone
);
INSERT INTO public.agent_tasks_version VALUES ('0003');
INSERT INTO public.agents VALUES ('approval', '{"ttl": null, "queue": null, "budget": null, "signals": ["approval"], "sensitive": false, "first_step": "ask", "input_schema": {"type": "object", "title": "approval.ask arguments", "properties": {"timeout": {"anyOf": [{"type": "number"}, {"type": "null"}], "title": "Timeout"}, "on_timeout": {"type": "boolean", "title": "On Timeout"}}, "additionalProperties": false}, "payload_schemas": {"decide": {"type": "object", "title": "Approval", "required": ["ok"], "properties": {"ok": {"type": "boolean", "title": "Ok"}}}}}', '2026-11-27 02:27:01.582115+00');
INSERT INTO public.agents VALUES ('booking', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "hotel", "input_schema": {"type": "object", "title": "booking.hotel arguments", "required": ["folder"], "properties": {"fail": {"type": "boolean", "title": "Fail"}, "folder": {"type": "string", "title": "Folder"}, "failing_undo": {"type": "boolean", "title": "Failing Undo"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582278+00');
INSERT INTO public.agents VALUES ('buyer', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "buyer", "input_schema": {"type": "object", "title": "buyer.buyer arguments", "properties": {"usd": {"type": "number", "title": "Usd"}, "tokens": {"type": "integer", "title": "Tokens"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582295+00');
INSERT INTO public.agents VALUES ('count', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "up", "input_schema": {"type": "object", "title": "count.up arguments", "required": ["to"], "properties": {"n": {"type": "integer", "title": "N"}, "to": {"type": "integer", "title": "To"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582298+00');
INSERT INTO public.agents VALUES ('count_plain', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "up_plain", "input_schema": {"type": "object", "title": "count_plain.up_plain arguments", "required": ["to"], "properties": {"n": {"type": "integer", "title": "N"}, "to": {"type": "integer", "title": "To"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.5823+00');
INSERT INTO public.agents VALUES ('counted', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "counted", "input_schema": {"type": "object", "title": "counted.counted arguments", "required": ["folder", "name"], "properties": {"name": {"type": "string", "title": "Name"}, "folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582306+00');
INSERT INTO public.agents VALUES ('echo', '{"ttl": null, "queue": null, "budget": null, "signals": null, "sensitive": false, "first_step": "echo", "input_schema": {"type": "object", "title": "echo.echo arguments", "properties": {"value": {"title": "Value"}, "waits_for": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "title": "Waits For"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582315+00');
INSERT INTO public.agents VALUES ('fails', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "fails", "input_schema": {"type": "object", "title": "fails.fails arguments", "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582318+00');
INSERT INTO public.agents VALUES ('family', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "spawn", "input_schema": {"type": "object", "title": "family.spawn arguments", "required": ["folder", "members"], "properties": {"queue": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Queue"}, "folder": {"type": "string", "title": "Folder"}, "member": {"type": "string", "title": "Member"}, "members": {"type": "integer", "title": "Members"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582323+00');
INSERT INTO public.agents VALUES ('flaky', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "flaky", "input_schema": {"type": "object", "title": "flaky.flaky arguments", "required": ["fail"], "properties": {"fail": {"type": "integer", "title": "Fail"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582325+00');
INSERT INTO public.agents VALUES ('generations', '{"ttl": null, "queue": null, "budget": null, "signals": ["never"], "sensitive": false, "first_step": "multiply", "input_schema": {"type": "object", "title": "generations.multiply arguments", "required": ["depth"], "properties": {"depth": {"type": "integer", "title": "Depth"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582327+00');
INSERT INTO public.agents VALUES ('held_member', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "held_member", "input_schema": {"type": "object", "title": "held_member.held_member arguments", "required": ["folder", "index"], "properties": {"index": {"type": "integer", "title": "Index"}, "folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582328+00');
INSERT INTO public.agents VALUES ('hops_and_waits', '{"ttl": null, "queue": null, "budget": null, "signals": ["answer"], "sensitive": false, "first_step": "await_answer", "input_schema": {"type": "object", "title": "hops_and_waits.await_answer arguments", "required": ["waits"], "properties": {"waits": {"type": "integer", "title": "Waits"}, "answers": {"anyOf": [{"type": "array", "items": {}}, {"type": "null"}], "title": "Answers"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582333+00');
INSERT INTO public.agents VALUES ('journey', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "book_one", "input_schema": {"type": "object", "title": "journey.book_one arguments", "required": ["folder"], "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582334+00');
INSERT INTO public.agents VALUES ('killer', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "kill_worker", "input_schema": {"type": "object", "title": "killer.kill_worker arguments", "required": ["folder"], "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582336+00');
INSERT INTO public.agents VALUES ('member', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "member", "input_schema": {"type": "object", "title": "member.member arguments", "required": ["folder", "index"], "properties": {"index": {"type": "integer", "title": "Index"}, "folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582337+00');
INSERT INTO public.agents VALUES ('member_plain', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "member_plain", "input_schema": {"type": "object", "title": "member_plain.member_plain arguments", "required": ["folder", "index"], "properties": {"index": {"type": "integer", "title": "Index"}, "folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582339+00');
INSERT INTO public.agents VALUES ('napper', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "nap", "input_schema": {"type": "object", "title": "napper.nap arguments", "required": ["folder", "seconds"], "properties": {"folder": {"type": "string", "title": "Folder"}, "seconds": {"type": "number", "title": "Seconds"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582341+00');
INSERT INTO public.agents VALUES ('nested', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "descend", "input_schema": {"type": "object", "title": "nested.descend arguments", "required": ["depth"], "properties": {"depth": {"type": "integer", "title": "Depth"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.58243+00');
INSERT INTO public.agents VALUES ('orchestrator', '{"ttl": null, "queue": null, "budget": {"usd": 2.0, "tokens": 200000, "seconds": 600}, "signals": ["approval"], "sensitive": false, "first_step": "plan", "input_schema": {"type": "object", "title": "orchestrator.plan arguments", "required": ["paths", "question"], "properties": {"paths": {"type": "array", "items": {"type": "string"}, "title": "Paths", "maxItems": 1000, "minItems": 1}, "output": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Output"}, "approve": {"type": "boolean", "title": "Approve"}, "question": {"type": "string", "title": "Question", "maxLength": 1000, "minLength": 3}, "max_passages": {"type": "integer", "title": "Max Passages", "maximum": 40, "minimum": 1}, "approval_seconds": {"type": "number", "title": "Approval Seconds", "maximum": 31622400, "exclusiveMinimum": 0}}, "additionalProperties": false}, "payload_schemas": {"decide": {"type": "object", "title": "Approval", "required": ["ok"], "properties": {"ok": {"type": "boolean", "title": "Ok"}, "note": {"anyOf": [{"type": "string", "maxLength": 1000}, {"type": "null"}], "title": "Note", "default": null}}, "description": "The payload of the signal `approval`."}}}', '2026-11-27 02:27:01.58244+00');
INSERT INTO public.agents VALUES ('planner', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "plan", "input_schema": {"type": "object", "title": "planner.plan arguments", "required": ["family"], "properties": {"split": {"type": "string", "title": "Split"}, "family": {"type": "array", "items": {"type": "object", "additionalProperties": true}, "title": "Family"}, "reserve": {"anyOf": [{"type": "number"}, {"type": "null"}], "title": "Reserve"}, "on_child_failure": {"type": "string", "title": "On Child Failure"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582447+00');
INSERT INTO public.agents VALUES ('recorder', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "recorder", "input_schema": {"type": "object", "title": "recorder.recorder arguments", "required": ["seconds"], "properties": {"seconds": {"type": "number", "title": "Seconds"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582449+00');
INSERT INTO public.agents VALUES ('relay', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "first", "input_schema": {"type": "object", "title": "relay.first arguments", "required": ["folder"], "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582454+00');
INSERT INTO public.agents VALUES ('relay_plain', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "held_plain", "input_schema": {"type": "object", "title": "relay_plain.held_plain arguments", "required": ["folder"], "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582456+00');
INSERT INTO public.agents VALUES ('research', '{"ttl": null, "queue": null, "budget": {"usd": 2.0, "tokens": 200000, "seconds": 600}, "signals": null, "sensitive": false, "first_step": "plan", "input_schema": {"type": "object", "title": "research.plan arguments", "required": ["paths", "question"], "properties": {"paths": {"type": "array", "items": {"type": "string"}, "title": "Paths", "maxItems": 1000, "minItems": 1}, "output": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Output"}, "question": {"type": "string", "title": "Question", "maxLength": 1000, "minLength": 3}, "max_passages": {"type": "integer", "title": "Max Passages", "maximum": 40, "minimum": 1}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582457+00');
INSERT INTO public.agents VALUES ('research-analyst', '{"ttl": null, "queue": null, "budget": null, "signals": null, "sensitive": false, "first_step": "analyse", "input_schema": {"type": "object", "$defs": {"Search": {"type": "object", "title": "Search", "required": ["question", "root", "documents", "max_passages"], "properties": {"pool": {"type": "array", "items": {"$ref": "#/$defs/Passage"}, "title": "Pool", "default": []}, "root": {"type": "string", "title": "Root"}, "seen": {"type": "integer", "title": "Seen", "default": 0}, "unread": {"type": "array", "items": {"$ref": "#/$defs/Skipped"}, "title": "Unread", "default": []}, "scanned": {"type": "integer", "title": "Scanned", "default": 0}, "left_out": {"type": "integer", "title": "Left Out", "default": 0, "description": "how many of those never were among `documents`"}, "question": {"type": "string", "title": "Question"}, "documents": {"type": "integer", "title": "Documents"}, "frequency": {"type": "object", "title": "Frequency", "default": {}, "additionalProperties": {"type": "integer"}}, "max_passages": {"type": "integer", "title": "Max Passages"}, "unread_count": {"type": "integer", "title": "Unread Count", "default": 0, "description": "how many were not read, listed or not"}}, "description": "Of `documents` under `root`, `seen` are dealt with; `pool` holds the best passages of those."}, "Passage": {"type": "object", "title": "Passage", "required": ["text"], "properties": {"line": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Line", "default": null}, "page": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Page", "default": null}, "path": {"type": "string", "title": "Path", "default": ""}, "text": {"type": "string", "title": "Text"}, "score": {"type": "number", "title": "Score", "default": 0.0}, "title": {"type": "string", "title": "Title", "default": ""}, "headings": {"type": "array", "items": {"type": "string"}, "title": "Headings", "default": []}}, "description": "A quotation and where it stands; `line` and `page` count from 1."}, "Skipped": {"type": "object", "title": "Skipped", "required": ["path", "reason"], "properties": {"path": {"type": "string", "title": "Path"}, "reason": {"type": "string", "title": "Reason"}}}}, "title": "research-analyst.analyse arguments", "required": ["search"], "properties": {"search": {"$ref": "#/$defs/Search"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582462+00');
INSERT INTO public.agents VALUES ('research-reader', '{"ttl": null, "queue": null, "budget": null, "signals": null, "sensitive": false, "first_step": "read", "input_schema": {"type": "object", "$defs": {"Search": {"type": "object", "title": "Search", "required": ["question", "root", "documents", "max_passages"], "properties": {"pool": {"type": "array", "items": {"$ref": "#/$defs/Passage"}, "title": "Pool", "default": []}, "root": {"type": "string", "title": "Root"}, "seen": {"type": "integer", "title": "Seen", "default": 0}, "unread": {"type": "array", "items": {"$ref": "#/$defs/Skipped"}, "title": "Unread", "default": []}, "scanned": {"type": "integer", "title": "Scanned", "default": 0}, "left_out": {"type": "integer", "title": "Left Out", "default": 0, "description": "how many of those never were among `documents`"}, "question": {"type": "string", "title": "Question"}, "documents": {"type": "integer", "title": "Documents"}, "frequency": {"type": "object", "title": "Frequency", "default": {}, "additionalProperties": {"type": "integer"}}, "max_passages": {"type": "integer", "title": "Max Passages"}, "unread_count": {"type": "integer", "title": "Unread Count", "default": 0, "description": "how many were not read, listed or not"}}, "description": "Of `documents` under `root`, `seen` are dealt with; `pool` holds the best passages of those."}, "Passage": {"type": "object", "title": "Passage", "required": ["text"], "properties": {"line": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Line", "default": null}, "page": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Page", "default": null}, "path": {"type": "string", "title": "Path", "default": ""}, "text": {"type": "string", "title": "Text"}, "score": {"type": "number", "title": "Score", "default": 0.0}, "title": {"type": "string", "title": "Title", "default": ""}, "headings": {"type": "array", "items": {"type": "string"}, "title": "Headings", "default": []}}, "description": "A quotation and where it stands; `line` and `page` count from 1."}, "Skipped": {"type": "object", "title": "Skipped", "required": ["path", "reason"], "properties": {"path": {"type": "string", "title": "Path"}, "reason": {"type": "string", "title": "Reason"}}}}, "title": "research-reader.read arguments", "required": ["search", "files"], "properties": {"files": {"type": "array", "items": {"type": "string"}, "title": "Files"}, "search": {"$ref": "#/$defs/Search"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582546+00');
INSERT INTO public.agents VALUES ('research-writer', '{"ttl": null, "queue": null, "budget": null, "signals": null, "sensitive": false, "first_step": "write", "input_schema": {"type": "object", "$defs": {"Quote": {"type": "object", "title": "Quote", "required": ["text", "passage"], "properties": {"text": {"type": "string", "title": "Text"}, "passage": {"type": "integer", "title": "Passage"}}, "description": "A sentence, verbatim, and the number of the passage it stands in."}, "Theme": {"type": "object", "title": "Theme", "required": ["title", "passages"], "properties": {"title": {"type": "string", "title": "Title"}, "passages": {"type": "array", "items": {"type": "integer"}, "title": "Passages"}}}, "Search": {"type": "object", "title": "Search", "required": ["question", "root", "documents", "max_passages"], "properties": {"pool": {"type": "array", "items": {"$ref": "#/$defs/Passage"}, "title": "Pool", "default": []}, "root": {"type": "string", "title": "Root"}, "seen": {"type": "integer", "title": "Seen", "default": 0}, "unread": {"type": "array", "items": {"$ref": "#/$defs/Skipped"}, "title": "Unread", "default": []}, "scanned": {"type": "integer", "title": "Scanned", "default": 0}, "left_out": {"type": "integer", "title": "Left Out", "default": 0, "description": "how many of those never were among `documents`"}, "question": {"type": "string", "title": "Question"}, "documents": {"type": "integer", "title": "Documents"}, "frequency": {"type": "object", "title": "Frequency", "default": {}, "additionalProperties": {"type": "integer"}}, "max_passages": {"type": "integer", "title": "Max Passages"}, "unread_count": {"type": "integer", "title": "Unread Count", "default": 0, "description": "how many were not read, listed or not"}}, "description": "Of `documents` under `root`, `seen` are dealt with; `pool` holds the best passages of those."}, "Passage": {"type": "object", "title": "Passage", "required": ["text"], "properties": {"line": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Line", "default": null}, "page": {"anyOf": [{"type": "integer"}, {"type": "null"}], "title": "Page", "default": null}, "path": {"type": "string", "title": "Path", "default": ""}, "text": {"type": "string", "title": "Text"}, "score": {"type": "number", "title": "Score", "default": 0.0}, "title": {"type": "string", "title": "Title", "default": ""}, "headings": {"type": "array", "items": {"type": "string"}, "title": "Headings", "default": []}}, "description": "A quotation and where it stands; `line` and `page` count from 1."}, "Skipped": {"type": "object", "title": "Skipped", "required": ["path", "reason"], "properties": {"path": {"type": "string", "title": "Path"}, "reason": {"type": "string", "title": "Reason"}}}, "Findings": {"type": "object", "title": "Findings", "properties": {"gaps": {"type": "array", "items": {"type": "string"}, "title": "Gaps", "default": []}, "answer": {"type": "array", "items": {"$ref": "#/$defs/Quote"}, "title": "Answer", "default": []}, "themes": {"type": "array", "items": {"$ref": "#/$defs/Theme"}, "title": "Themes", "default": []}, "passages": {"type": "array", "items": {"$ref": "#/$defs/Passage"}, "title": "Passages", "default": []}, "agreements": {"type": "array", "items": {"$ref": "#/$defs/Agreement"}, "title": "Agreements", "default": []}}, "description": "Passages are numbered from 1, in the order of `passages`."}, "Agreement": {"type": "object", "title": "Agreement", "required": ["terms", "quotes"], "properties": {"terms": {"type": "array", "items": {"type": "string"}, "title": "Terms"}, "quotes": {"type": "array", "items": {"$ref": "#/$defs/Quote"}, "title": "Quotes"}}, "description": "Passages of different sources that say alike things; `terms` are the words they share."}}, "title": "research-writer.write arguments", "required": ["search", "findings"], "properties": {"note": {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Note"}, "search": {"$ref": "#/$defs/Search"}, "findings": {"$ref": "#/$defs/Findings"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582585+00');
INSERT INTO public.agents VALUES ('retried', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "attempt", "input_schema": {"type": "object", "title": "retried.attempt arguments", "required": ["fail"], "properties": {"fail": {"type": "integer", "title": "Fail"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.58267+00');
INSERT INTO public.agents VALUES ('sensitive', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": true, "first_step": "secretive", "input_schema": {"type": "object", "title": "sensitive.secretive arguments", "required": ["folder", "secret"], "properties": {"folder": {"type": "string", "title": "Folder"}, "secret": {"type": "string", "title": "Secret"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582672+00');
INSERT INTO public.agents VALUES ('several', '{"ttl": null, "queue": null, "budget": null, "signals": ["first", "second"], "sensitive": false, "first_step": "wait_for_several", "input_schema": {"type": "object", "title": "several.wait_for_several arguments", "required": ["every"], "properties": {"every": {"type": "boolean", "title": "Every"}}, "additionalProperties": false}, "payload_schemas": {"got_all": {"type": "integer"}, "got_one": {"type": "integer"}}}', '2026-11-27 02:27:01.582674+00');
INSERT INTO public.agents VALUES ('sleeper', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "doze", "input_schema": {"type": "object", "title": "sleeper.doze arguments", "required": ["seconds"], "properties": {"seconds": {"type": "number", "title": "Seconds"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582679+00');
INSERT INTO public.agents VALUES ('stubborn', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "never_stop", "input_schema": {"type": "object", "title": "stubborn.never_stop arguments", "required": ["folder"], "properties": {"folder": {"type": "string", "title": "Folder"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582681+00');
INSERT INTO public.agents VALUES ('traced', '{"ttl": null, "queue": null, "budget": null, "signals": [], "sensitive": false, "first_step": "branch", "input_schema": {"type": "object", "title": "traced.branch arguments", "required": ["depth"], "properties": {"depth": {"type": "integer", "title": "Depth"}}, "additionalProperties": false}, "payload_schemas": {}}', '2026-11-27 02:27:01.582682+00');
INSERT INTO public.calls VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 0, 0, 'numbered', 'completed', false, '8e12dcc74cd81fcbebb3ebcd0e507c97e3ad9bb05f1048ca1c0e5189e0c9c109', '1', 1, 1, '2026-11-27 02:27:01.732745+00', '2026-11-27 02:27:01.741046+00');
INSERT INTO public.calls VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 0, 0, 'numbered', 'completed', false, '432db6e47195f45372e2e823231b6b4324ea2188c3600d9e1597b0bd23a8915f', '0', 1, 1, '2026-11-27 02:27:01.738695+00', '2026-11-27 02:27:01.744675+00');
INSERT INTO public.calls VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 0, 0, 'numbered', 'completed', false, '8b8a77d3c81b739cdc5e856fa1562e1010725f9ecc37373f6f25c72297a3a2ce', '2', 1, 1, '2026-11-27 02:27:01.744836+00', '2026-11-27 02:27:01.75597+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 0, 'echo', NULL, NULL, NULL, false, 1, 0.002263603, '2026-11-27 02:27:01.687873+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 0, 'spawn', 'gather', '{"folder": "/tmp/notes"}', '{"kind": "children", "name": "3 children", "reserve": 0.0}', false, 1, 0.004297492, '2026-11-27 02:27:01.712443+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 0, 'member', NULL, NULL, NULL, false, 1, 0.020767367, '2026-11-27 02:27:01.746616+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 0, 'member', NULL, NULL, NULL, false, 1, 0.021539755, '2026-11-27 02:27:01.760779+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 0, 'member', NULL, NULL, NULL, false, 1, 0.031363346, '2026-11-27 02:27:01.76792+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 1, 'gather', NULL, NULL, NULL, false, 2, 0.003499894, '2026-11-27 02:27:01.786043+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 0, 'await_answer', 'take_answer', '{"waits": 2, "answers": []}', '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "timeout": null, "on_timeout": null}', false, 1, 0.001210276, '2026-11-27 02:27:01.801051+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 0, 'await_answer', 'take_answer', '{"waits": 2, "answers": []}', '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "timeout": null, "on_timeout": null}', false, 1, 0.000693123, '2026-11-27 02:27:01.833511+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 1, 'take_answer', 'await_answer', '{"waits": 2, "answers": [1]}', NULL, false, 2, 0.000438438, '2026-11-27 02:27:01.908646+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 2, 'await_answer', 'take_answer', '{"waits": 2, "answers": [1]}', '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "timeout": null, "on_timeout": null}', false, 2, 0.00047524, '2026-11-27 02:27:01.914493+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 0, 'nap', 'rise', '{"folder": "/tmp/notes"}', '{"kind": "timer", "since": "2026-11-27T02:27:01.938305+00:00", "until": "2026-11-28T02:27:01.938305+00:00"}', false, 1, 0.001079296, '2026-11-27 02:27:01.938446+00');
INSERT INTO public.checkpoints VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 0, 'await_answer', 'take_answer', '{"waits": 2, "answers": []}', '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "timeout": null, "on_timeout": null}', false, 1, 0.000392308, '2026-11-27 02:27:01.971292+00');
INSERT INTO public.events VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 1, 'submitted', '{"step": "echo", "agent": "echo"}', '2026-11-27 02:27:01.669121+00');
INSERT INTO public.events VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 2, 'dispatched', '{"step": "echo", "queue": "agents"}', '2026-11-27 02:27:01.669215+00');
INSERT INTO public.events VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 3, 'claimed', '{"run": 1, "step": "echo", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.680811+00');
INSERT INTO public.events VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 4, 'committed', '{"step": "echo", "step_number": 0}', '2026-11-27 02:27:01.687817+00');
INSERT INTO public.events VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 5, 'finished', '{"status": "completed"}', '2026-11-27 02:27:01.68787+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 1, 'submitted', '{"step": "spawn", "agent": "family"}', '2026-11-27 02:27:01.697029+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 2, 'dispatched', '{"step": "spawn", "queue": "agents"}', '2026-11-27 02:27:01.697062+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 3, 'claimed', '{"run": 1, "step": "spawn", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.704422+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 4, 'charged', '{"usd": 0.0, "tokens": 1}', '2026-11-27 02:27:01.708379+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 5, 'committed', '{"next": "gather", "step": "spawn", "step_number": 0}', '2026-11-27 02:27:01.712419+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 6, 'spawned', '{"agents": ["member"], "children": 3}', '2026-11-27 02:27:01.712438+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 7, 'waiting', '{"kind": "children"}', '2026-11-27 02:27:01.71244+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 1, 'submitted', '{"step": "member", "agent": "member"}', '2026-11-27 02:27:01.714107+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 1, 'submitted', '{"step": "member", "agent": "member"}', '2026-11-27 02:27:01.714113+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 1, 'submitted', '{"step": "member", "agent": "member"}', '2026-11-27 02:27:01.714116+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 2, 'dispatched', '{"step": "member", "queue": "agents"}', '2026-11-27 02:27:01.714118+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 2, 'dispatched', '{"step": "member", "queue": "agents"}', '2026-11-27 02:27:01.71412+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 2, 'dispatched', '{"step": "member", "queue": "agents"}', '2026-11-27 02:27:01.714122+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 3, 'claimed', '{"run": 1, "step": "member", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.72139+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 3, 'claimed', '{"run": 1, "step": "member", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.725381+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 3, 'claimed', '{"run": 1, "step": "member", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.725388+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 4, 'charged', '{"usd": 0.0, "tokens": 1}', '2026-11-27 02:27:01.725687+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 4, 'charged', '{"usd": 0.0, "tokens": 1}', '2026-11-27 02:27:01.730547+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 4, 'charged', '{"usd": 0.0, "tokens": 1}', '2026-11-27 02:27:01.735189+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 5, 'committed', '{"step": "member", "step_number": 0}', '2026-11-27 02:27:01.746607+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 6, 'finished', '{"status": "completed"}', '2026-11-27 02:27:01.746613+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 5, 'committed', '{"step": "member", "step_number": 0}', '2026-11-27 02:27:01.760764+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 6, 'finished', '{"status": "completed"}', '2026-11-27 02:27:01.760775+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 5, 'committed', '{"step": "member", "step_number": 0}', '2026-11-27 02:27:01.767857+00');
INSERT INTO public.events VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 6, 'finished', '{"status": "completed"}', '2026-11-27 02:27:01.767917+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 8, 'joined', NULL, '2026-11-27 02:27:01.771138+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 9, 'dispatched', NULL, '2026-11-27 02:27:01.771145+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 10, 'claimed', '{"run": 2, "step": "gather", "worker": "worker0@test/10219", "attempt": 1, "step_number": 1}', '2026-11-27 02:27:01.777+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 11, 'charged', '{"usd": 0.0, "tokens": 1}', '2026-11-27 02:27:01.784002+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 12, 'committed', '{"step": "gather", "step_number": 1}', '2026-11-27 02:27:01.786033+00');
INSERT INTO public.events VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 13, 'finished', '{"status": "completed"}', '2026-11-27 02:27:01.78604+00');
INSERT INTO public.events VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 1, 'submitted', '{"step": "await_answer", "agent": "hops_and_waits"}', '2026-11-27 02:27:01.79+00');
INSERT INTO public.events VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 2, 'dispatched', '{"step": "await_answer", "queue": "agents"}', '2026-11-27 02:27:01.790009+00');
INSERT INTO public.events VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 3, 'claimed', '{"run": 1, "step": "await_answer", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.794119+00');
INSERT INTO public.events VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 4, 'committed', '{"next": "take_answer", "step": "await_answer", "step_number": 0}', '2026-11-27 02:27:01.801003+00');
INSERT INTO public.events VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 5, 'waiting', '{"kind": "signal", "mode": "any", "names": ["answer"], "timeout": null}', '2026-11-27 02:27:01.801048+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 1, 'submitted', '{"step": "await_answer", "agent": "hops_and_waits"}', '2026-11-27 02:27:01.819437+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 2, 'dispatched', '{"step": "await_answer", "queue": "agents"}', '2026-11-27 02:27:01.819445+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 3, 'claimed', '{"run": 1, "step": "await_answer", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.825594+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 4, 'committed', '{"next": "take_answer", "step": "await_answer", "step_number": 0}', '2026-11-27 02:27:01.833499+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 5, 'waiting', '{"kind": "signal", "mode": "any", "names": ["answer"], "timeout": null}', '2026-11-27 02:27:01.833508+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 6, 'signalled', '{"name": "answer", "sender": null, "signal_id": "s1"}', '2026-11-27 02:27:01.888279+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 7, 'dispatched', NULL, '2026-11-27 02:27:01.8912+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 8, 'claimed', '{"run": 2, "step": "take_answer", "worker": "worker0@test/10219", "attempt": 1, "step_number": 1}', '2026-11-27 02:27:01.900111+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 9, 'committed', '{"next": "await_answer", "step": "take_answer", "step_number": 1}', '2026-11-27 02:27:01.90863+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 10, 'claimed', '{"run": 2, "step": "await_answer", "attempt": 1, "step_number": 2}', '2026-11-27 02:27:01.908643+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 11, 'committed', '{"next": "take_answer", "step": "await_answer", "step_number": 2}', '2026-11-27 02:27:01.914482+00');
INSERT INTO public.events VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 12, 'waiting', '{"kind": "signal", "mode": "any", "names": ["answer"], "timeout": null}', '2026-11-27 02:27:01.91449+00');
INSERT INTO public.events VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 1, 'submitted', '{"step": "nap", "agent": "napper"}', '2026-11-27 02:27:01.927622+00');
INSERT INTO public.events VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 2, 'dispatched', '{"step": "nap", "queue": "agents"}', '2026-11-27 02:27:01.92763+00');
INSERT INTO public.events VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 3, 'claimed', '{"run": 1, "step": "nap", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.934109+00');
INSERT INTO public.events VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 4, 'committed', '{"next": "rise", "step": "nap", "step_number": 0}', '2026-11-27 02:27:01.938437+00');
INSERT INTO public.events VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 5, 'waiting', '{"kind": "timer", "until": null, "seconds": 86400.0}', '2026-11-27 02:27:01.938444+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 1, 'submitted', '{"step": "await_answer", "agent": "hops_and_waits"}', '2026-11-27 02:27:01.9587+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 2, 'dispatched', '{"step": "await_answer", "queue": "agents"}', '2026-11-27 02:27:01.95871+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 3, 'claimed', '{"run": 1, "step": "await_answer", "worker": "worker0@test/10219", "attempt": 1, "step_number": 0}', '2026-11-27 02:27:01.962505+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 4, 'committed', '{"next": "take_answer", "step": "await_answer", "step_number": 0}', '2026-11-27 02:27:01.971194+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 5, 'waiting', '{"kind": "signal", "mode": "any", "names": ["answer"], "timeout": null}', '2026-11-27 02:27:01.971289+00');
INSERT INTO public.events VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 6, 'finished', '{"reason": "not needed", "status": "cancelled"}', '2026-11-27 02:27:01.995856+00');
INSERT INTO public.events VALUES ('01a21ad3-dd3c-74c2-a4a9-295870f3d502', 1, 'submitted', '{"step": "echo", "agent": "echo"}', '2026-11-27 02:27:02.07815+00');
INSERT INTO public.events VALUES ('01a21ad3-dd3c-74c2-a4a9-295870f3d502', 2, 'dispatched', '{"step": "echo", "queue": "nobody"}', '2026-11-27 02:27:02.078196+00');
INSERT INTO public.idempotency_keys VALUES ('acme', 'ana', 'once', '\x0358bbd715780b61cfd05908de1831f8f66de97fe0bee6d35ccf5437aeb2ea9e', '01a21ad3-db9c-7182-9a49-1364677bc7f3', '2026-11-28 02:27:01.667186+00');
INSERT INTO public.schedules VALUES ('daily', 'echo', '{"value": 2}', '{"budget": {}, "identity": null}', '0 4 * * *', NULL, 'UTC', '2026-11-27 04:00:00+00', NULL, NULL);
INSERT INTO public.signals OVERRIDING SYSTEM VALUE VALUES (1, '01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 'answer', '1', 's1', NULL, '2026-11-27 02:27:01.887979+00', 1);
INSERT INTO public.tasks VALUES ('01a21ad3-db9c-7182-9a49-1364677bc7f3', 'echo', 'completed', 'echo', 1, 'agents', 5, NULL, '01a21ad3-db9c-7182-9a49-1364677bc7f3', '01a21ad3-db9c-7182-9a49-1364677bc7f3', NULL, 0, NULL, NULL, 0, NULL, 'acme', '{"actors": [], "scopes": [], "tenant": "acme", "subject": "ana"}', NULL, NULL, NULL, false, 900, '{"value": 1}', '1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.006946, 0, 0, 1, 0, 0, 0, 0, 0, 1, NULL, 1, 0, 0, 0, 0, NULL, NULL, NULL, 3, 5, '2026-11-27 02:27:01.66881+00', '2026-11-27 02:27:01.66881+00', '2026-11-27 02:27:01.680582+00', '2026-11-27 02:27:01.680582+00', '2026-11-27 02:27:01.687537+00', NULL, '00-ab67b666b1904321128dbcbd2a9cbc94-d7a2228e755af7f1-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dbce-72e5-b49f-ea4f637f3820', 'member', 'completed', 'member', 1, 'agents', 5, '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbce-72e5-b49f-ea4f637f3820', NULL, 1, 0, 2, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"index": 2, "folder": "/tmp/notes"}', '2', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.042391, 1, 0, 1, 1, 0, 0, 0, 0, 1, NULL, 1, 0, 0, 0, 0, NULL, NULL, NULL, 5, 6, '2026-11-27 02:27:01.714097+00', '2026-11-27 02:27:01.714097+00', '2026-11-27 02:27:01.725362+00', '2026-11-27 02:27:01.725362+00', '2026-11-27 02:27:01.767761+00', NULL, '00-6a1f9d5a3e062d3bc2e6f659730d3d55-9bcd5d61d2ba0609-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', 'member', 'completed', 'member', 1, 'agents', 5, '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbce-72e5-b49f-ea4e529b5e5e', NULL, 1, 0, 1, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"index": 1, "folder": "/tmp/notes"}', '1', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.0253, 1, 0, 1, 1, 0, 0, 0, 0, 1, NULL, 1, 0, 0, 0, 0, NULL, NULL, NULL, 5, 6, '2026-11-27 02:27:01.714087+00', '2026-11-27 02:27:01.714087+00', '2026-11-27 02:27:01.721206+00', '2026-11-27 02:27:01.721206+00', '2026-11-27 02:27:01.746511+00', NULL, '00-6a1f9d5a3e062d3bc2e6f659730d3d55-9bcd5d61d2ba0609-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dbce-72e5-b49f-ea4dc057408f', 'member', 'completed', 'member', 1, 'agents', 5, '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbce-72e5-b49f-ea4dc057408f', NULL, 1, 0, 0, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"index": 0, "folder": "/tmp/notes"}', '0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.034746, 1, 0, 1, 1, 0, 0, 0, 0, 1, NULL, 1, 0, 0, 0, 0, NULL, NULL, NULL, 5, 6, '2026-11-27 02:27:01.713897+00', '2026-11-27 02:27:01.713897+00', '2026-11-27 02:27:01.725259+00', '2026-11-27 02:27:01.725259+00', '2026-11-27 02:27:01.760011+00', NULL, '00-6a1f9d5a3e062d3bc2e6f659730d3d55-9bcd5d61d2ba0609-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dbbd-7372-9d36-505ab1928a21', 'family', 'completed', 'gather', 2, 'agents', 5, NULL, '01a21ad3-dbbd-7372-9d36-505ab1928a21', '01a21ad3-dbbd-7372-9d36-505ab1928a21', NULL, 0, NULL, NULL, 0, 'collect', '', NULL, NULL, NULL, NULL, false, 900, '{"folder": "/tmp/notes", "members": 3}', '[0, 1, 2]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.075704, 5, 0, 5, 3, 0, 0, 0, 0, 2, NULL, 1, 0, 0, 0, 0, NULL, NULL, NULL, 10, 13, '2026-11-27 02:27:01.696425+00', '2026-11-27 02:27:01.77102+00', '2026-11-27 02:27:01.70432+00', '2026-11-27 02:27:01.776885+00', '2026-11-27 02:27:01.785934+00', NULL, '00-6a1f9d5a3e062d3bc2e6f659730d3d55-9bcd5d61d2ba0609-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', 'hops_and_waits', 'waiting', 'take_answer', 1, 'agents', 5, NULL, '01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', '01a21ad3-dc1b-764b-ad62-3ca57b6b8a17', NULL, 0, NULL, NULL, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"waits": 2}', NULL, NULL, NULL, NULL, NULL, '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "since": "2026-11-27T02:27:01.800852+00:00", "until": null, "timeout": null, "on_timeout": null}', NULL, NULL, NULL, NULL, NULL, 0.006838, 0, 0, 1, 0, 0, 0, 0, 0, 1, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, 3, 5, '2026-11-27 02:27:01.789753+00', '2026-11-27 02:27:01.789753+00', '2026-11-27 02:27:01.79402+00', '2026-11-27 02:27:01.79402+00', NULL, NULL, '00-38cbee3e64ec90792a2a5b128fcfe40d-505876932cf46163-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', 'napper', 'waiting', 'rise', 1, 'agents', 5, NULL, '01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', '01a21ad3-dca3-72d2-a6b3-2e5a9bba603a', NULL, 0, NULL, NULL, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"folder": "/tmp/notes", "seconds": 86400.0}', NULL, NULL, NULL, NULL, NULL, '{"kind": "timer", "since": "2026-11-27T02:27:01.938305+00:00", "until": "2026-11-28T02:27:01.938305+00:00"}', NULL, NULL, NULL, NULL, NULL, 0.004385, 0, 0, 1, 0, 0, 0, 0, 0, 1, NULL, 0, 0, 0, 0, 0, NULL, NULL, '2026-11-28 02:27:01.938316+00', 3, 5, '2026-11-27 02:27:01.927501+00', '2026-11-27 02:27:01.927501+00', '2026-11-27 02:27:01.933925+00', '2026-11-27 02:27:01.933925+00', NULL, NULL, '00-e0c53dbcfdfc6febc61589f6b773da7c-aef65b87b5c63aed-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', 'hops_and_waits', 'waiting', 'take_answer', 3, 'agents', 5, NULL, '01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', '01a21ad3-dc3a-71ba-b201-ac8ab95ad50b', NULL, 0, NULL, NULL, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"waits": 2}', NULL, NULL, NULL, NULL, NULL, '{"kind": "signal", "mode": "any", "name": "answer", "names": ["answer"], "since": "2026-11-27T02:27:01.914357+00:00", "until": null, "timeout": null, "on_timeout": null}', NULL, NULL, NULL, NULL, NULL, 0.02226, 0, 0, 3, 0, 0, 0, 0, 0, 2, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, 8, 12, '2026-11-27 02:27:01.819262+00', '2026-11-27 02:27:01.891098+00', '2026-11-27 02:27:01.82548+00', '2026-11-27 02:27:01.908443+00', NULL, NULL, '00-16cefb1ac7bfd02795baba945e516b60-af682e00445175f6-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dcc5-744a-9eff-d18fd0a06d37', 'hops_and_waits', 'cancelled', 'take_answer', 1, 'agents', 5, NULL, '01a21ad3-dcc5-744a-9eff-d18fd0a06d37', '01a21ad3-dcc5-744a-9eff-d18fd0a06d37', NULL, 0, NULL, NULL, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"waits": 2}', NULL, '{"type": "cancelled", "details": {"reason": "not needed"}, "message": "not needed", "retryable": false, "checkpoint": 1, "retry_after": null, "suggested_action": "resume"}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0.008705, 0, 0, 1, 0, 0, 0, 0, 0, 1, NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL, 4, 6, '2026-11-27 02:27:01.958561+00', '2026-11-27 02:27:01.995726+00', '2026-11-27 02:27:01.962372+00', '2026-11-27 02:27:01.962372+00', '2026-11-27 02:27:01.995726+00', NULL, '00-d8824ffb30f1d55269a1a8404ec0a9e0-0f2cca486cb1e83f-01');
INSERT INTO public.tasks VALUES ('01a21ad3-dd3c-74c2-a4a9-295870f3d502', 'echo', 'pending', 'echo', 0, 'nobody', 5, NULL, '01a21ad3-dd3c-74c2-a4a9-295870f3d502', '01a21ad3-dd3c-74c2-a4a9-295870f3d502', NULL, 0, NULL, NULL, 0, NULL, '', NULL, NULL, NULL, NULL, false, 900, '{"value": 3}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, NULL, NULL, '2026-11-27 02:27:03.077992+00', 1, 2, '2026-11-27 02:27:02.077994+00', '2026-11-27 02:27:02.077994+00', NULL, NULL, NULL, NULL, '00-84324167e49d6bf91dffe240a36eb260-69c3e92a6fb4f4bf-01');
INSERT INTO public.watches VALUES ('orphans', '2026-11-27 02:27:01.561013+00', '2026-11-27 02:27:01.561013+00');
INSERT INTO public.workers VALUES ('worker0@test/10219', 'host', 10219, '{agents}', '{approval.ask,approval.decide,approval.give_up,booking.flight,booking.hotel,booking.settle,booking.undo:flight,booking.undo:hotel,buyer.buyer,count.up,count_plain.up_plain,counted.counted,echo.echo,fails.fails,family.gather,family.spawn,flaky.flaky,generations.multiply,generations.remember,held_member.held_member,hops_and_waits.await_answer,hops_and_waits.take_answer,journey.book_one,journey.book_three,journey.book_two,journey.travel,journey.undo:book_one,journey.undo:book_three,journey.undo:book_two,killer.kill_worker,member.member,member_plain.member_plain,napper.nap,napper.rise,nested.ascend,nested.descend,orchestrator.analyse,orchestrator.decide,orchestrator.finish,orchestrator.plan,orchestrator.publish,orchestrator.review,orchestrator.undo:publish,orchestrator.write,planner.gather,planner.plan,recorder.recorder,relay.first,relay.held,relay.last,relay_plain.held_plain,research-analyst.analyse,research-reader.read,research-writer.write,research.analyse,research.finish,research.plan,research.publish,research.review,research.undo:publish,research.write,retried.attempt,sensitive.secretive,several.got_all,several.got_one,several.wait_for_several,sleeper.awake,sleeper.doze,stubborn.never_stop,traced.branch,traced.collect}', '2026-11-27 02:27:01.589165+00', '2026-11-27 02:27:01.589165+00', NULL);
SELECT pg_catalog.setval('public.signals_seq_seq', 1, true);
ALTER TABLE ONLY public.agent_tasks_version
    ADD CONSTRAINT agent_tasks_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.agents
    ADD CONSTRAINT agents_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_pkey PRIMARY KEY (task_id, step_number, ordinal);
ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_pkey PRIMARY KEY (task_id, step_number);
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (task_id, seq);
ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (tenant, subject, key);
ALTER TABLE ONLY public.schedules
    ADD CONSTRAINT schedules_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.secrets
    ADD CONSTRAINT secrets_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.watches
    ADD CONSTRAINT watches_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.workers
    ADD CONSTRAINT workers_pkey PRIMARY KEY (id);
CREATE INDEX idempotency_keys_expires_at ON public.idempotency_keys USING btree (expires_at);
CREATE INDEX idempotency_keys_task_id ON public.idempotency_keys USING btree (task_id);
CREATE INDEX schedules_next_at ON public.schedules USING btree (next_at);
CREATE INDEX signals_inbox ON public.signals USING btree (task_id, name);
CREATE UNIQUE INDEX signals_once ON public.signals USING btree (task_id, signal_id) WHERE (signal_id IS NOT NULL);
CREATE INDEX tasks_due ON public.tasks USING btree (status, due_at) WHERE (due_at IS NOT NULL);
CREATE INDEX tasks_finished ON public.tasks USING btree (finished_at) WHERE (finished_at IS NOT NULL);
CREATE INDEX tasks_parent ON public.tasks USING btree (parent_id, parent_step, child_index) WHERE (parent_id IS NOT NULL);
CREATE INDEX tasks_resumed ON public.tasks USING btree (resumed_from) WHERE (resumed_from IS NOT NULL);
CREATE INDEX tasks_root ON public.tasks USING btree (root_id);
CREATE INDEX tasks_usage ON public.tasks USING btree (agent, finished_at) WHERE (status = 'completed'::text);
CREATE TRIGGER checkpoints_append_only BEFORE UPDATE ON public.checkpoints FOR EACH ROW WHEN (((new.state IS NOT NULL) OR ((to_jsonb(new.*) - 'state'::text) IS DISTINCT FROM (to_jsonb(old.*) - 'state'::text)))) EXECUTE FUNCTION public.agent_tasks_refuse('checkpoints are append-only; their state can only be purged');
CREATE TRIGGER events_append_only BEFORE UPDATE ON public.events FOR EACH ROW EXECUTE FUNCTION public.agent_tasks_refuse('events are append-only');
CREATE TRIGGER tasks_monotonic BEFORE UPDATE ON public.tasks FOR EACH ROW WHEN (((new.version < old.version) OR (new.event_seq < old.event_seq) OR (new.run < old.run) OR (new.step_number < old.step_number))) EXECUTE FUNCTION public.agent_tasks_refuse('version, event_seq, run and step_number of a task only grow');
CREATE TRIGGER tasks_terminal BEFORE UPDATE ON public.tasks FOR EACH ROW WHEN ((old.finished_at IS NOT NULL)) EXECUTE FUNCTION public.agent_tasks_only_acknowledge();
ALTER TABLE ONLY public.calls
    ADD CONSTRAINT calls_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.checkpoints
    ADD CONSTRAINT checkpoints_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_task_id_fkey FOREIGN KEY (task_id) REFERENCES public.tasks(id) ON DELETE CASCADE;
