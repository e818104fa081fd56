BEGIN TRANSACTION;
CREATE TABLE approvals (
    id            TEXT    PRIMARY KEY,
    run_id        TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    digests       TEXT    NOT NULL,
    approvers     TEXT    NOT NULL,
    quorum        INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    created_us    BIGINT  NOT NULL,
    expires_us    BIGINT  NOT NULL,
    asked_because TEXT    NOT NULL,
    number        INTEGER NOT NULL  -- of the run's questions, from 1
);
INSERT INTO "approvals" VALUES('q-1','01m86ptpg0st1nqfrfk1snfeyb','{"scale":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0"}','["sre-oncall"]',2,'approved',1795521600000000,1795523400000000,'the mode is approve',1);
CREATE TABLE audit (
    seq         BIGINT PRIMARY KEY,
    at_us       BIGINT NOT NULL,
    kind        TEXT   NOT NULL,
    actor       TEXT   NOT NULL,
    run_id      TEXT,
    incident_id TEXT,
    details     TEXT   NOT NULL,
    previous    TEXT   NOT NULL,
    hash        TEXT   NOT NULL
);
INSERT INTO "audit" VALUES(1,1795521600000000,'notification','sender:main',NULL,NULL,'{"alerts":1,"fates":{"opened":1},"id":"01m86ptpg0st1nqfrfc7e11443","sender":"main","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","source":"alertmanager","truncated":0}','0000000000000000000000000000000000000000000000000000000000000000','12b453777aa260e716f692fdedb5abeaae07f2e1515d0a0506bf02a0290be837');
INSERT INTO "audit" VALUES(2,1795521600000000,'incident.opened','sender:main',NULL,'01m86ptpg0st1nqfrerpgxgazh','{"episode":1,"fingerprint":"2fd0fd1ca84d4b31","labels":{"alertname":"HighLatency","deployment":"api"},"starts_at":"2026-11-24T12:00:00.000000Z"}','12b453777aa260e716f692fdedb5abeaae07f2e1515d0a0506bf02a0290be837','369d380303936749eb21f445cacdcf0129bbbb35870bf7a27fe18f1e10863997');
INSERT INTO "audit" VALUES(3,1795521600000000,'run.state','sender:main','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"from":null,"message":"","reason":"new","runbook":"scale-out","to":"pending","trigger":"firing","version":"v1"}','369d380303936749eb21f445cacdcf0129bbbb35870bf7a27fe18f1e10863997','d0c71cd2be9bd244eedefd284f8868b007182fe72c37cf4fafef03157e80458e');
INSERT INTO "audit" VALUES(4,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"from":"pending","message":"now planning","reason":"watching","to":"planning"}','d0c71cd2be9bd244eedefd284f8868b007182fe72c37cf4fafef03157e80458e','4766fd7d156519c8133804c830e84fc9c11328728ab47c22ef7f65424b451039');
INSERT INTO "audit" VALUES(5,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"from":"planning","message":"now awaiting_approval","reason":"watching","to":"awaiting_approval"}','4766fd7d156519c8133804c830e84fc9c11328728ab47c22ef7f65424b451039','f0d4000081b2f5b6435f6525452ef1386c3cfacf4542c2a104bab00f83b8a953');
INSERT INTO "audit" VALUES(6,1795521600000000,'notification','sender:main',NULL,NULL,'{"alerts":1,"fates":{"refreshed":1},"id":"01m86ptpg0st1nqfrftkbgnkp3","sender":"main","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","source":"alertmanager","truncated":0}','f0d4000081b2f5b6435f6525452ef1386c3cfacf4542c2a104bab00f83b8a953','6ac2128cc70c7b966b5fa463ddfb4ecf7ed76ad65e63ae6880554b7bd42f374b');
INSERT INTO "audit" VALUES(7,1795521600000000,'notification','sender:main',NULL,NULL,'{"alerts":1,"fates":{"opened":1},"id":"01m86ptpg0st1nqfrg4adts25k","sender":"main","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","source":"alertmanager","truncated":0}','6ac2128cc70c7b966b5fa463ddfb4ecf7ed76ad65e63ae6880554b7bd42f374b','c9958e51c633956a161cb0674627eb301c4c582503a09c06ae764eca108e063d');
INSERT INTO "audit" VALUES(8,1795521600000000,'incident.opened','sender:main',NULL,'01m86ptpg0st1nqfrfzf2jqqrt','{"episode":1,"fingerprint":"1ed3574f7c0ef223","labels":{"alertname":"HighLatency","deployment":"other"},"starts_at":"2026-11-24T12:00:00.000000Z"}','c9958e51c633956a161cb0674627eb301c4c582503a09c06ae764eca108e063d','696020ea79ac9db5f482c0ad87d766551e4c882dc8d044c35a5eaa575b5b497b');
INSERT INTO "audit" VALUES(9,1795521600000000,'run.state','sender:main','01m86ptpg0st1nqfrgcvpq5y74','01m86ptpg0st1nqfrfzf2jqqrt','{"from":null,"message":"","reason":"new","runbook":"scale-out","to":"pending","trigger":"firing","version":"v1"}','696020ea79ac9db5f482c0ad87d766551e4c882dc8d044c35a5eaa575b5b497b','e84f6504f731d0cc7ffa201aa86a0f23fafe39ea6cf0b0e6b8068646d0d8a9fe');
INSERT INTO "audit" VALUES(10,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrgcvpq5y74','01m86ptpg0st1nqfrfzf2jqqrt','{"from":"pending","message":"now planning","reason":"watching","to":"planning"}','e84f6504f731d0cc7ffa201aa86a0f23fafe39ea6cf0b0e6b8068646d0d8a9fe','97ef1105eae8d1135386e83db11bc04a540d44f67f92b5d74e64da5965c7c381');
INSERT INTO "audit" VALUES(11,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrgcvpq5y74','01m86ptpg0st1nqfrfzf2jqqrt','{"from":"planning","message":"now awaiting_approval","reason":"watching","to":"awaiting_approval"}','97ef1105eae8d1135386e83db11bc04a540d44f67f92b5d74e64da5965c7c381','1d75821f103ed8e33a2942617f30fec2aa8a23c99bdf7732008c81780a8065da');
INSERT INTO "audit" VALUES(12,1795522200000000,'notification','sender:main',NULL,NULL,'{"alerts":1,"fates":{"closed":1},"id":"01m86ptpg0st1nqfrgjw8g0dfj","sender":"main","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","source":"alertmanager","truncated":0}','1d75821f103ed8e33a2942617f30fec2aa8a23c99bdf7732008c81780a8065da','42588d28288b691efcd1efb8f2d51bc002fd9fe428e6beb309779f010b8c11e8');
INSERT INTO "audit" VALUES(13,1795522200000000,'incident.closed','sender:main',NULL,'01m86ptpg0st1nqfrfzf2jqqrt','{"ends_at":"2026-11-24T12:10:00.000000Z","episode":1,"fingerprint":"1ed3574f7c0ef223"}','42588d28288b691efcd1efb8f2d51bc002fd9fe428e6beb309779f010b8c11e8','c3d0ee034787818f5b7f0c91a363ce5802e668d11ab250bfd9481e5cd5e8d401');
INSERT INTO "audit" VALUES(14,1795522200000000,'run.state','remediator','01m86ptpg0st1nqfrgcvpq5y74','01m86ptpg0st1nqfrfzf2jqqrt','{"from":"awaiting_approval","message":"The alert resolved by itself before anything was changed","reason":"resolved_by_itself","to":"cancelled"}','c3d0ee034787818f5b7f0c91a363ce5802e668d11ab250bfd9481e5cd5e8d401','bfd45db5d0ab25fada9e8a5c2fb171c0320280b501c1813e4397ba2525758478');
INSERT INTO "audit" VALUES(15,1795521600000000,'approval.decision','slack:U1','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"answer":"approve","approval_id":"q-1","digests":{"scale":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0"},"outcome":"counted","reason":"looks right","via":"slack"}','bfd45db5d0ab25fada9e8a5c2fb171c0320280b501c1813e4397ba2525758478','201524b513089ee0e9f2bec080045014f9c23efa93c43ebd56f8c3fc9393b9f8');
INSERT INTO "audit" VALUES(16,1795521600000000,'run.state','slack:U2','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"from":"awaiting_approval","message":"Approved by slack:U1, slack:U2: looks right","reason":"approved","to":"applying"}','201524b513089ee0e9f2bec080045014f9c23efa93c43ebd56f8c3fc9393b9f8','a39286a8d1538a27e6bccc6c134bedde01f8671f2bdf4932c2b174460c147cbc');
INSERT INTO "audit" VALUES(17,1795521600000000,'approval.decision','slack:U2','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"answer":"approve","approval_id":"q-1","digests":{"scale":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0"},"outcome":"approved","reason":"looks right","via":"slack"}','a39286a8d1538a27e6bccc6c134bedde01f8671f2bdf4932c2b174460c147cbc','e97e5da11b0014209d31bbc75414ca61a1fa12e7794e599ca831a68a7459638b');
INSERT INTO "audit" VALUES(18,1795521600000000,'approval.decision','slack:U1','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"answer":"deny","approval_id":"q-1","digests":{"scale":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0"},"outcome":"already_decided","reason":"looks right","via":"slack"}','e97e5da11b0014209d31bbc75414ca61a1fa12e7794e599ca831a68a7459638b','4a725569671fedf0e78085e2da168d476990d7384783a4395b4cdffcf23cbc6f');
INSERT INTO "audit" VALUES(19,1795521600000000,'control','api:al',NULL,NULL,'{"do":"pause","reason":"","scope":"*","until":null}','4a725569671fedf0e78085e2da168d476990d7384783a4395b4cdffcf23cbc6f','caf66e275a44a494b8535ef7131adc11830191d52799d8ca4029539fb3358e8a');
INSERT INTO "audit" VALUES(20,1795521600000000,'step.done','remediator',NULL,NULL,'{}','caf66e275a44a494b8535ef7131adc11830191d52799d8ca4029539fb3358e8a','8c520d6b1425243070e61aa4548301bab683cb5e2ed338ec2b3c7bb6aec880ef');
INSERT INTO "audit" VALUES(21,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','{"from":"applying","message":"now verifying","reason":"watching","to":"verifying"}','8c520d6b1425243070e61aa4548301bab683cb5e2ed338ec2b3c7bb6aec880ef','33bfdc4a4fb3003dbef335804ad03c28d10e05b386cc5d346463ad7c2ce8d769');
INSERT INTO "audit" VALUES(22,1795521600000000,'run.state','run:01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrgnk9f8jbz','01m86ptpg0st1nqfrerpgxgazh','{"from":null,"message":"takes back what run 01m86ptpg0st1nqfrfk1snfeyb raised: deployment shop/api: replicas 4 → 6","reason":"limit_expired","runbook":"scale-out","to":"pending","trigger":"expiry","version":"v1"}','33bfdc4a4fb3003dbef335804ad03c28d10e05b386cc5d346463ad7c2ce8d769','014d33d3bc4301939ca8fbd70479bb0131b5d78180eb869002e23069d48dd992');
INSERT INTO "audit" VALUES(23,1795522200000000,'notification','sender:main',NULL,NULL,'{"alerts":1,"fates":{"closed":1},"id":"01m86ptpg0st1nqfrgwg8m9ks2","sender":"main","sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","source":"alertmanager","truncated":0}','014d33d3bc4301939ca8fbd70479bb0131b5d78180eb869002e23069d48dd992','3d37a037bd70b323dac9ab900b8c6cebdcd959330b327a5d61258c0874f0314f');
INSERT INTO "audit" VALUES(24,1795522200000000,'incident.closed','sender:main',NULL,'01m86ptpg0st1nqfrerpgxgazh','{"ends_at":"2026-11-24T12:10:00.000000Z","episode":1,"fingerprint":"2fd0fd1ca84d4b31"}','3d37a037bd70b323dac9ab900b8c6cebdcd959330b327a5d61258c0874f0314f','e2c7dccb81d2af573374f09de091b777bdfc88ebc464399590fbee2023624fd1');
INSERT INTO "audit" VALUES(25,1795521600000000,'note.refused','remediator','01m86ptpg0st1nqfrfk1snfeyb',NULL,'{"attempts":1,"error":"gone","note":"state","notifier":"slack","text":"Approved by slack:U1, slack:U2: looks right"}','e2c7dccb81d2af573374f09de091b777bdfc88ebc464399590fbee2023624fd1','ab201d8d29a7d81cd86c1587bb1b6885da2b53c350f12f10b0aedc407cae19a7');
INSERT INTO "audit" VALUES(26,1795521600000000,'control','api:al',NULL,NULL,'{"do":"resume","scope":"*"}','ab201d8d29a7d81cd86c1587bb1b6885da2b53c350f12f10b0aedc407cae19a7','dbbde16d348cb2a5498b9769afc72993aaa919732177a6239e2c051ba1d9c4bd');
INSERT INTO "audit" VALUES(27,1795521600000000,'run.state','api:al','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":null,"message":"","reason":"new","runbook":"scale-out","to":"pending","trigger":"manual","version":"v1"}','dbbde16d348cb2a5498b9769afc72993aaa919732177a6239e2c051ba1d9c4bd','b6ce6c2b7114d4b1f0e7481e86c60b9bb5d8e97751b93c660f27fcde91b15692');
INSERT INTO "audit" VALUES(28,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":"pending","message":"now planning","reason":"watching","to":"planning"}','b6ce6c2b7114d4b1f0e7481e86c60b9bb5d8e97751b93c660f27fcde91b15692','fa897e92b099952c84c793a94053dcb274e426edd37840c59a6fff7ad328800f');
INSERT INTO "audit" VALUES(29,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":"planning","message":"now applying","reason":"watching","to":"applying"}','fa897e92b099952c84c793a94053dcb274e426edd37840c59a6fff7ad328800f','1494367e4c5602ec52eb91a3f6d1edb81cf4dd0fc171390ae40ef0fe9e8c2cc8');
INSERT INTO "audit" VALUES(30,1795521600000000,'run.cancel_requested','api:al','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"reason":"","state":"applying"}','1494367e4c5602ec52eb91a3f6d1edb81cf4dd0fc171390ae40ef0fe9e8c2cc8','196f717e56a21edac895fcbde6d14a0ef96d5a341496fe64aa0fc340a17ea6be');
INSERT INTO "audit" VALUES(31,1795521600000000,'run.state','remediator','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":"applying","message":"now interrupted","reason":"watching","to":"interrupted"}','196f717e56a21edac895fcbde6d14a0ef96d5a341496fe64aa0fc340a17ea6be','74378c3bcf894b6d2e46caeaa75d5963e13f7a86aa743f69c386b6d78f7889c0');
INSERT INTO "audit" VALUES(32,1795521600000000,'run.state','api:al','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":"interrupted","message":"Resumed by api:al: the interrupted step was carried out, go on after it","reason":"resumed","to":"applying"}','74378c3bcf894b6d2e46caeaa75d5963e13f7a86aa743f69c386b6d78f7889c0','eab7de8f67cd92c4beeefafeeb0b8864b67745ee8d30d1e84c91e377abc51723');
INSERT INTO "audit" VALUES(33,1795521600000000,'run.state','api:al','01m86ptpg0st1nqfrh5stmmn6w',NULL,'{"from":"applying","message":"Cancelled by api:al","reason":"cancelled_by_person","to":"cancelled"}','eab7de8f67cd92c4beeefafeeb0b8864b67745ee8d30d1e84c91e377abc51723','c873b765168a4cd9fba0cad5c2e828368951389f68943521e85d1c8086441c4f');
INSERT INTO "audit" VALUES(34,1795521600000000,'x','y',NULL,NULL,'{}','c873b765168a4cd9fba0cad5c2e828368951389f68943521e85d1c8086441c4f','8ffc3252b7bb4c85ea556af9e8f3d03269862320e923a54838fcd11c8fda2022');
CREATE TABLE audit_head (
    id   INTEGER PRIMARY KEY CHECK (id = 1),
    seq  BIGINT  NOT NULL,
    hash TEXT    NOT NULL
);
INSERT INTO "audit_head" VALUES(1,34,'8ffc3252b7bb4c85ea556af9e8f3d03269862320e923a54838fcd11c8fda2022');
CREATE TABLE controls (
    scope    TEXT   PRIMARY KEY,
    set_by   TEXT   NOT NULL,
    reason   TEXT   NOT NULL,
    since_us BIGINT NOT NULL,
    until_us BIGINT
);
CREATE TABLE decisions (
    approval_id TEXT   NOT NULL REFERENCES approvals (id) ON DELETE CASCADE,
    actor       TEXT   NOT NULL,
    answer      TEXT   NOT NULL,
    reason      TEXT   NOT NULL,
    via         TEXT   NOT NULL,
    at_us       BIGINT NOT NULL,
    PRIMARY KEY (approval_id, actor, answer)
);
INSERT INTO "decisions" VALUES('q-1','slack:U1','approve','looks right','slack',1795521600000000);
INSERT INTO "decisions" VALUES('q-1','slack:U2','approve','looks right','slack',1795521600000000);
CREATE TABLE facts (
    kind    TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    at_us   BIGINT NOT NULL,
    PRIMARY KEY (kind, subject, value)
);
INSERT INTO "facts" VALUES('kind','subject','value',1795521600000000);
CREATE TABLE incidents (
    id            TEXT    PRIMARY KEY,
    sender        TEXT    NOT NULL,
    fingerprint   TEXT    NOT NULL,
    episode       INTEGER NOT NULL,
    status        TEXT    NOT NULL CHECK (status IN ('open', 'resolved')),
    labels        TEXT    NOT NULL,
    annotations   TEXT    NOT NULL,
    generator_url TEXT    NOT NULL,
    starts_us     BIGINT  NOT NULL,
    ends_us       BIGINT,
    opened_us     BIGINT  NOT NULL,
    updated_us    BIGINT  NOT NULL,
    end_assumed   INTEGER NOT NULL DEFAULT 0  -- ends_us is when we noticed; nobody told us
);
INSERT INTO "incidents" VALUES('01m86ptpg0st1nqfrerpgxgazh','main','2fd0fd1ca84d4b31',1,'resolved','{"alertname":"HighLatency","deployment":"api"}','{"summary":"api is slow"}','http://prometheus.example/graph',1795521600000000,1795522200000000,1795521600000000,1795522200000000,0);
CREATE TABLE locks (
    target_key TEXT   PRIMARY KEY,
    run_id     TEXT   NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    epoch      BIGINT NOT NULL,
    since_us   BIGINT NOT NULL
);
INSERT INTO "locks" VALUES('x','01m86ptpg0st1nqfrfk1snfeyb',3,1795521600000000);
CREATE TABLE nodes (
    id         TEXT   PRIMARY KEY,
    started_us BIGINT NOT NULL,
    seen_us    BIGINT NOT NULL
);
INSERT INTO "nodes" VALUES('node-1',1795521600000000,1795521600000000);
CREATE TABLE notifications (
    id          TEXT    PRIMARY KEY,
    sender      TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    received_us BIGINT  NOT NULL,
    sha256      TEXT    NOT NULL,
    size        BIGINT  NOT NULL,
    alerts      INTEGER NOT NULL,
    truncated   INTEGER NOT NULL,
    fetched_us  BIGINT,            -- when its dropped tail was asked for; null while it is not
    body        BYTEA   NOT NULL
);
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    notifier   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    at_us      BIGINT  NOT NULL,
    recipients TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    next_us    BIGINT  NOT NULL,
    attempts   INTEGER NOT NULL,
    error      TEXT    NOT NULL
);
INSERT INTO "outbox" VALUES(2,'01m86ptpg0st1nqfrfk1snfeyb','slack','approval','Approved by slack:U1: looks right; 1 of 2',1795521600000000,'[]','delivered',1795521600000000,2,'');
INSERT INTO "outbox" VALUES(3,'01m86ptpg0st1nqfrfk1snfeyb','slack','state','Approved by slack:U1, slack:U2: looks right',1795521600000000,'[]','refused',1795521600000000,1,'gone');
INSERT INTO "outbox" VALUES(4,'01m86ptpg0st1nqfrfk1snfeyb','slack','step','a',1795521600000000,'[]','waiting',1795521600000000,0,'');
INSERT INTO "outbox" VALUES(5,'01m86ptpg0st1nqfrfk1snfeyb','slack','step','b',1795521600000000,'[]','waiting',1795521600000000,0,'');
INSERT INTO "outbox" VALUES(6,'01m86ptpg0st1nqfrfk1snfeyb','slack','step','c',1795521600000000,'[]','waiting',1795521600000000,0,'');
CREATE TABLE refs (
    run_id   TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    notifier TEXT NOT NULL,
    ref      TEXT NOT NULL,
    PRIMARY KEY (run_id, notifier)
);
INSERT INTO "refs" VALUES('01m86ptpg0st1nqfrfk1snfeyb','slack','{"ts":"1"}');
CREATE TABLE runbooks (
    version       TEXT   PRIMARY KEY,
    name          TEXT   NOT NULL,
    file          TEXT   NOT NULL,
    source        TEXT   NOT NULL,
    description   TEXT   NOT NULL,
    owner         TEXT   NOT NULL,
    links         TEXT   NOT NULL,
    registered_us BIGINT NOT NULL
);
INSERT INTO "runbooks" VALUES('v1','scale-out','runbooks/scale-out.yaml','name: scale-out','Scale out while it is slow.','team-shop','{"dashboard":"https://grafana.example/d/1"}',1795521600000000);
CREATE TABLE runs (
    id                  TEXT    PRIMARY KEY,
    incident_id         TEXT    REFERENCES incidents (id),
    runbook             TEXT    NOT NULL,
    version             TEXT    NOT NULL REFERENCES runbooks (version),
    trigger             TEXT    NOT NULL,
    state               TEXT    NOT NULL,
    reason              TEXT    NOT NULL,
    message             TEXT    NOT NULL,
    target              TEXT    NOT NULL,
    context             TEXT    NOT NULL,
    epoch               BIGINT  NOT NULL,
    owner               TEXT,
    wake_us             BIGINT,
    created_us          BIGINT  NOT NULL,
    started_us          BIGINT,
    ended_us            BIGINT,
    started_by          TEXT    NOT NULL,
    cancel_requested_by TEXT,
    deadline_us         BIGINT,
    verdicts            TEXT    NOT NULL,
    -- Nothing wakes or owns what has ended.
    CHECK (ended_us IS NULL OR (wake_us IS NULL AND owner IS NULL))
);
INSERT INTO "runs" VALUES('01m86ptpg0st1nqfrfk1snfeyb','01m86ptpg0st1nqfrerpgxgazh','scale-out','v1','firing','verifying','watching','now verifying','','{"alert":{"labels":{"deployment":"api"}}}',3,NULL,1795522200000000,1795521600000000,1795521600000000,NULL,'sender:main',NULL,NULL,'[{"lifted_by":"wait","reason":"changed 4m ago, cooldown is 15m","rule":"cooldown","ruling":"hold"}]');
INSERT INTO "runs" VALUES('01m86ptpg0st1nqfrgnk9f8jbz','01m86ptpg0st1nqfrerpgxgazh','scale-out','v1','expiry','pending','limit_expired','takes back what run 01m86ptpg0st1nqfrfk1snfeyb raised: deployment shop/api: replicas 4 → 6','deployment shop/api','{"alert":{"labels":{"deployment":"api"}}}',0,NULL,1795525200000000,1795521600000000,NULL,NULL,'run:01m86ptpg0st1nqfrfk1snfeyb',NULL,NULL,'[]');
CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_us BIGINT NOT NULL);
INSERT INTO "schema_version" VALUES(1,'0001_start.sql',1795521600000000);
CREATE TABLE steps (
    run_id     TEXT    NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    sequence   INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    step_id    TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    plan       TEXT,
    digest     TEXT,
    target_key TEXT,
    pods       INTEGER NOT NULL,
    params     TEXT    NOT NULL,
    message    TEXT    NOT NULL,
    output     TEXT    NOT NULL,
    changed    INTEGER NOT NULL,
    started_us BIGINT,
    ended_us   BIGINT,
    PRIMARY KEY (run_id, sequence, attempt)
);
INSERT INTO "steps" VALUES('01m86ptpg0st1nqfrfk1snfeyb',0,1,'step-0','kubernetes.scale','done','{"action":"kubernetes.scale","changes":[{"after":6,"before":4,"path":"spec.replicas"}],"checkable":true,"details":{},"digest":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0","impact":{"down":null,"nodes":0,"note":"","of_pods":4,"pods":2,"replicas":null},"lasts_s":null,"no_way_back":"","summary":"replicas 4 → 6","target":{"kind":"Deployment","labels":{},"name":"api","scope":"shop","system":"kubernetes","uid":"u-1"},"way_back":{"details":{"replicas":4},"summary":"replicas 6 → 4"}}','558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0','kubernetes:shop/Deployment/api',2,'{"by":2}','scaling','{"replicas":6}',1,1795521600000000,NULL);
INSERT INTO "steps" VALUES('01m86ptpg0st1nqfrgnk9f8jbz',0,1,'step-0','kubernetes.scale','done','{"action":"kubernetes.scale","changes":[{"after":6,"before":4,"path":"spec.replicas"}],"checkable":true,"details":{},"digest":"558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0","impact":{"down":null,"nodes":0,"note":"","of_pods":4,"pods":2,"replicas":null},"lasts_s":null,"no_way_back":"","summary":"replicas 4 → 6","target":{"kind":"Deployment","labels":{},"name":"api","scope":"shop","system":"kubernetes","uid":"u-1"},"way_back":{"details":{"replicas":4},"summary":"replicas 6 → 4"}}','558920012b40053bd52579c475936fe5828a176ce2df4213885a5a402d2230f0','kubernetes:shop/Deployment/api',2,'{"by":2}','scaling','{"replicas":6}',1,1795521600000000,NULL);
CREATE INDEX notifications_to_fetch ON notifications (id)
    WHERE truncated > 0 AND fetched_us IS NULL;
CREATE INDEX notifications_by_age ON notifications (received_us);
CREATE UNIQUE INDEX incidents_episodes ON incidents (sender, fingerprint, episode);
CREATE UNIQUE INDEX incidents_one_open ON incidents (sender, fingerprint) WHERE status = 'open';
CREATE INDEX incidents_open ON incidents (id) WHERE status = 'open';
CREATE INDEX incidents_by_age ON incidents (updated_us) WHERE status = 'resolved';
CREATE UNIQUE INDEX runs_once ON runs (incident_id, runbook, trigger)
    WHERE incident_id IS NOT NULL AND trigger IN ('firing', 'resolved');
CREATE INDEX runs_by_incident ON runs (incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX runs_by_state ON runs (state, id);
CREATE INDEX runs_by_runbook ON runs (runbook, id);
CREATE INDEX runs_by_version ON runs (version);
CREATE INDEX runs_due ON runs (wake_us) WHERE owner IS NULL AND wake_us IS NOT NULL;
CREATE INDEX runs_live ON runs (state, id) WHERE ended_us IS NULL;
CREATE INDEX runs_raised_limits ON runs (started_by) WHERE trigger = 'expiry' AND ended_us IS NULL;
CREATE INDEX runs_by_age ON runs (ended_us) WHERE ended_us IS NOT NULL;
CREATE INDEX steps_changes ON steps (started_us)
    WHERE started_us IS NOT NULL AND target_key IS NOT NULL;
CREATE UNIQUE INDEX approvals_one_open ON approvals (run_id) WHERE status = 'open';
CREATE UNIQUE INDEX approvals_by_run ON approvals (run_id, number);
CREATE INDEX locks_by_run ON locks (run_id);
CREATE INDEX outbox_queue ON outbox (run_id, notifier, id);
CREATE INDEX outbox_due ON outbox (next_us) WHERE state = 'waiting';
CREATE INDEX audit_by_run ON audit (run_id, seq) WHERE run_id IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',8);
COMMIT;
