"""The first tables."""

from peewee import *


class UtcField(DateTimeField):
    field_type = "TIMESTAMPTZ"


class JsonField(TextField):
    pass


def up(migrator, db):
    class Person(Model):
        id = TextField(primary_key=True)
        email = TextField(unique=True)
        name = TextField()
        title = TextField(default="")
        phone = TextField(default="")
        language = TextField(default="en")
        zone = TextField(default="Europe/London")
        counterparty_id = TextField(index=True, null=True)
        password_hash = TextField(null=True)
        totp_secret = TextField(null=True)
        totp_last_step = IntegerField(default=0)
        factor_failures = IntegerField(default=0)
        is_sample = BooleanField(default=False)
        created_at = UtcField()
        activated_at = UtcField(null=True)
        disabled_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "person"

    db.create_tables([Person])

    class LegalEntity(Model):
        id = TextField(primary_key=True)
        name = TextField()
        form = TextField(default="")
        registration = TextField(default="")
        address = TextField(default="")
        country = TextField(default="GB")
        governing_law = TextField(default="")
        courts = TextField(default="")
        zone = TextField(default="Europe/London")
        currency = TextField(default="EUR")
        languages = JsonField(default=list)
        reference_prefix = TextField(default="C")
        email = TextField(default="")
        phone = TextField(default="")
        logo = BlobField(null=True)
        logo_type = TextField(default="")
        created_at = UtcField()
        retired_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "legal_entity"

    db.create_tables([LegalEntity])

    class Counterparty(Model):
        id = TextField(primary_key=True)
        name = TextField(index=True)
        form = TextField(default="")
        registration = TextField(index=True, default="")
        address = TextField(default="")
        country = TextField(default="")
        language = TextField(default="en")
        zone = TextField(default="Europe/London")
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "counterparty"

    db.create_tables([Counterparty])

    class Template(Model):
        id = TextField(primary_key=True)
        key = TextField(unique=True)
        name = JsonField()
        created_at = UtcField()
        retired_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "template"

    db.create_tables([Template])

    class TemplateVersion(Model):
        id = TextField(primary_key=True)
        template = ForeignKeyField(Template)
        number = IntegerField()
        clauses = JsonField()
        levels = JsonField()
        sha256 = TextField()
        change_note = TextField(default="")
        published_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "template_version"
            indexes = ((("template", "number"), True),)

    db.create_tables([TemplateVersion])

    class Contract(Model):
        id = TextField(primary_key=True)
        reference = TextField(unique=True)
        title = TextField()
        kind = TextField(default="support")
        side = TextField()
        state = TextField(default="draft")
        owner = ForeignKeyField(Person)
        entity = ForeignKeyField(LegalEntity)
        counterparty = ForeignKeyField(Counterparty, null=True)
        template_version = ForeignKeyField(TemplateVersion, null=True)
        signatory_id = TextField(null=True)
        languages = JsonField()
        prevailing_language = TextField(default="en")
        value_amount = DecimalField(max_digits=18, decimal_places=2, default=0)
        currency = TextField(default="EUR")
        start_on = DateField(null=True)
        end_on = DateField(null=True)
        has_phi = BooleanField(default=False)
        flags = JsonField(default=list)
        recipients = JsonField(default=list)
        copied_from_id = TextField(null=True)
        version = IntegerField(default=1)
        search_text = TextField(default="")
        waiting_for = TextField(default="")
        created_at = UtcField()
        updated_at = UtcField()

        class Meta:
            database = db
            table_name = "contract"
            indexes = (
                (("state", "updated_at", "id"), False),
                (("owner", "state", "updated_at", "id"), False),
                (("owner", "updated_at", "id"), False),
                (("counterparty", "updated_at", "id"), False),
                (("side", "updated_at", "id"), False),
                (("updated_at", "id"), False),
                (("end_on", "id"), False),
                (("value_amount", "id"), False),
            )

    db.create_tables([Contract])

    class Revision(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        number = IntegerField()
        clauses = JsonField()
        terms = JsonField()
        author = ForeignKeyField(Person, null=True)
        created_at = UtcField()
        frozen_at = UtcField(null=True)
        canonical = BlobField(null=True)
        sha256 = TextField(null=True)

        class Meta:
            database = db
            table_name = "revision"
            indexes = ((("contract", "number"), True),)

    db.create_tables([Revision])

    class Document(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, null=True, on_delete="CASCADE")
        revision = ForeignKeyField(Revision, null=True)
        kind = TextField()
        file_name = TextField()
        sha256 = TextField(index=True)
        size_bytes = IntegerField()
        pages = IntegerField(default=0)
        storage_key = TextField()
        facts = JsonField(default=dict)
        version = IntegerField(default=1)
        envelope_id = TextField(null=True)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "document"
            indexes = ((("envelope_id", "kind", "version"), True),)

    db.create_tables([Document])

    class Envelope(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract)
        revision = ForeignKeyField(Revision, null=True)
        document = ForeignKeyField(Document)
        provider = TextField(default="builtin")
        remote_id = TextField(null=True)
        status = TextField(index=True, default="queued")
        seal_status = TextField(index=True, default="none")
        seal_problem = TextField(default="")
        executed = ForeignKeyField(Document, null=True)
        message = TextField(default="")
        sender = ForeignKeyField(Person)
        created_at = UtcField()
        sent_at = UtcField(null=True)
        expires_at = UtcField()
        ended_at = UtcField(null=True)
        ended_reason = TextField(default="")

        class Meta:
            database = db
            table_name = "envelope"

    db.create_tables([Envelope])

    class Recipient(Model):
        id = TextField(primary_key=True)
        envelope = ForeignKeyField(Envelope, on_delete="CASCADE")
        key = TextField()
        side = TextField()
        role = TextField()
        routing_order = IntegerField(default=1)
        name = TextField()
        email = TextField(index=True)
        title = TextField(default="")
        organisation = TextField(default="")
        phone = TextField(default="")
        language = TextField(default="en")
        is_consumer = BooleanField(default=False)
        person = ForeignKeyField(Person, null=True)
        factors = JsonField(default=list)
        factor_reasons = JsonField(default=list)
        status = TextField(default="created")
        problem = TextField(default="")
        asked_at = UtcField(null=True)
        opened_at = UtcField(null=True)
        acted_at = UtcField(null=True)
        next_reminder_at = UtcField(null=True)
        reminders = IntegerField(default=0)
        session_epoch = IntegerField(default=1)
        app_tries = IntegerField(default=0)

        class Meta:
            database = db
            table_name = "recipient"
            indexes = (
                (("envelope", "key"), True),
                (("envelope", "routing_order"), False),
                (("next_reminder_at",), False),
                (("person", "status"), False),
            )

    db.create_tables([Recipient])

    class Act(Model):
        envelope = ForeignKeyField(Envelope)
        recipient = ForeignKeyField(Recipient)
        kind = TextField()
        at = UtcField()
        document_sha256 = TextField()
        name = TextField(default="")
        title = TextField(default="")
        intent = TextField(default="")
        authority = TextField(default="")
        signature_kind = TextField(default="")
        signature_path = TextField(default="")
        reason = TextField(default="")
        factors = JsonField(default=list)
        address = TextField(default="")
        user_agent = TextField(default="")

        class Meta:
            database = db
            table_name = "act"
            indexes = ((("envelope", "recipient"), True),)

    db.create_tables([Act])

    class Attempt(Model):
        scope = TextField()
        subject = TextField()
        source = TextField(default="")
        succeeded = BooleanField(default=False)
        at = UtcField()

        class Meta:
            database = db
            table_name = "attempt"
            indexes = ((("scope", "subject", "at"), False), (("scope", "source", "at"), False))

    db.create_tables([Attempt])

    class AuditDetail(Model):
        chain = TextField()
        number = IntegerField()
        salt = TextField()
        values = JsonField(column_name="personal")

        class Meta:
            database = db
            table_name = "audit_detail"
            primary_key = CompositeKey("chain", "number")

    db.create_tables([AuditDetail])

    class AuditEvent(Model):
        chain = TextField()
        number = IntegerField()
        act = TextField()
        at = UtcField()
        body = TextField()
        previous_hash = TextField()
        hash = TextField()

        class Meta:
            database = db
            table_name = "audit_event"
            indexes = ((("chain", "number"), True), (("act",), False), (("at",), False))

    db.create_tables([AuditEvent])

    class ChainHead(Model):
        chain = TextField(primary_key=True)
        number = IntegerField()
        hash = TextField()
        folded_number = IntegerField(default=0)

        class Meta:
            database = db
            table_name = "chain_head"

    db.create_tables([ChainHead])

    class Consent(Model):
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        version = TextField()
        language = TextField()
        text_sha256 = TextField()
        text = TextField(default="")
        demonstration = TextField()
        given_at = UtcField()
        withdrawn_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "consent"

    db.create_tables([Consent])

    class Contact(Model):
        id = TextField(primary_key=True)
        counterparty = ForeignKeyField(Counterparty, on_delete="CASCADE")
        name = TextField()
        email = TextField(index=True)
        title = TextField(default="")
        phone = TextField(default="")
        role = TextField(default="")
        language = TextField(default="en")
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "contact"
            indexes = ((("counterparty", "email"), True),)

    db.create_tables([Contact])

    class ContractContact(Model):
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        side = TextField()
        role = TextField()
        person = ForeignKeyField(Person, null=True)
        contact = ForeignKeyField(Contact, null=True)

        class Meta:
            database = db
            table_name = "contract_contact"
            indexes = ((("contract", "side", "role", "person", "contact"), True),)

    db.create_tables([ContractContact])

    class ContractWord(Model):
        word = TextField()
        contract = ForeignKeyField(Contract, on_delete="CASCADE")

        class Meta:
            database = db
            table_name = "contract_word"
            primary_key = CompositeKey("word", "contract")

    db.create_tables([ContractWord])

    class EnrolmentCode(Model):
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        code_sha256 = TextField()
        created_by = ForeignKeyField(Person)
        created_at = UtcField()
        expires_at = UtcField()
        tries = IntegerField(default=0)
        used_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "enrolment_code"

    db.create_tables([EnrolmentCode])

    class InstallationFact(Model):
        name = TextField(primary_key=True)
        value = JsonField()
        updated_at = UtcField()

        class Meta:
            database = db
            table_name = "installation_fact"

    db.create_tables([InstallationFact])

    class Job(Model):
        kind = TextField()
        payload = JsonField(default=dict)
        key = TextField(unique=True, null=True)
        status = TextField(default="ready")
        run_at = UtcField()
        attempts = IntegerField(default=0)
        max_attempts = IntegerField(default=12)
        lease_owner = TextField(null=True)
        lease_until = UtcField(null=True)
        last_error = TextField(default="")
        created_at = UtcField()
        finished_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "job"
            indexes = ((("status", "run_at"), False), (("kind", "status"), False))

    db.create_tables([Job])

    class LinkToken(Model):
        sha256 = TextField(primary_key=True)
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        purpose = TextField()
        created_at = UtcField()
        expires_at = UtcField()
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "link_token"

    db.create_tables([LinkToken])

    class Notice(Model):
        id = TextField(primary_key=True)
        channel = TextField()
        kind = TextField()
        contract_id = TextField(index=True, null=True)
        recipient_id = TextField(index=True, null=True)
        person_id = TextField(null=True)
        sender_id = TextField(index=True, default="")
        address = TextField(index=True)
        name = TextField(default="")
        language = TextField(default="en")
        subject = TextField(default="")
        text = TextField(default="")
        html = TextField(default="")
        attachments = JsonField(default=list)
        status = TextField(default="queued")
        failure = TextField(default="")
        attempts = IntegerField(default=0)
        created_at = UtcField(index=True)
        sent_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "notice"
            indexes = ((("status", "created_at"), False),)

    db.create_tables([Notice])

    class OutsideFactor(Model):
        id = TextField(primary_key=True)
        counterparty_id = TextField()
        email = TextField()
        secret = TextField()
        last_step = IntegerField(default=0)
        failures = IntegerField(default=0)
        enrolled_at = UtcField(null=True)
        enrolled_envelope_id = TextField(null=True)
        proof = TextField(default="")
        active_from = UtcField()
        ended_at = UtcField(null=True)
        created_at = UtcField()

        class Meta:
            database = db
            table_name = "outside_factor"
            indexes = ((("counterparty_id", "email"), False),)

    db.create_tables([OutsideFactor])

    class PageImage(Model):
        document = ForeignKeyField(Document, on_delete="CASCADE")
        number = IntegerField()
        width = IntegerField()
        height = IntegerField()
        text = TextField()
        storage_key = TextField()

        class Meta:
            database = db
            table_name = "page_image"
            primary_key = CompositeKey("document", "number")

    db.create_tables([PageImage])

    class PersonRole(Model):
        person = ForeignKeyField(Person, on_delete="CASCADE")
        role = TextField()

        class Meta:
            database = db
            table_name = "person_role"
            primary_key = CompositeKey("person", "role")

    db.create_tables([PersonRole])

    class PersonToken(Model):
        sha256 = TextField(primary_key=True)
        person = ForeignKeyField(Person, null=True, on_delete="CASCADE")
        email = TextField()
        purpose = TextField()
        created_at = UtcField()
        expires_at = UtcField()
        used_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "person_token"

    db.create_tables([PersonToken])

    class PolicyRule(Model):
        id = TextField(primary_key=True)
        position = IntegerField(default=0)
        name = TextField()
        condition = JsonField()
        applies_to = TextField(default="theirs")
        factor = TextField()
        is_active = BooleanField(default=True)
        updated_at = UtcField()

        class Meta:
            database = db
            table_name = "policy_rule"

    db.create_tables([PolicyRule])

    class RecoveryCode(Model):
        person = ForeignKeyField(Person, on_delete="CASCADE")
        sha256 = TextField(unique=True)
        used_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "recovery_code"

    db.create_tables([RecoveryCode])

    class ReferenceCounter(Model):
        series = TextField(primary_key=True)
        last = IntegerField()

        class Meta:
            database = db
            table_name = "reference_counter"

    db.create_tables([ReferenceCounter])

    class RegisteredFile(Model):
        sha256 = TextField(primary_key=True)
        kind = TextField()
        document_id = TextField(null=True)
        envelope_id = TextField(null=True)
        facts = JsonField(default=dict)
        registered_at = UtcField()

        class Meta:
            database = db
            table_name = "registered_file"

    db.create_tables([RegisteredFile])

    class Right(Model):
        session_sha256 = TextField()
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        purpose = TextField(default="sign")
        factors_met = JsonField(default=dict)
        draft = JsonField(default=dict)
        read_at = UtcField(null=True)
        granted_at = UtcField()
        expires_at = UtcField()

        class Meta:
            database = db
            table_name = "right"
            primary_key = CompositeKey("session_sha256", "recipient")

    db.create_tables([Right])

    class Session(Model):
        sha256 = TextField(primary_key=True)
        person = ForeignKeyField(Person, null=True, on_delete="CASCADE")
        email = TextField(default="")
        stage = TextField()
        created_at = UtcField()
        seen_at = UtcField()
        expires_at = UtcField()
        stepped_up_at = UtcField(null=True)
        address = TextField(default="")
        user_agent = TextField(default="")
        pending = JsonField(default=dict)

        class Meta:
            database = db
            table_name = "session"

    db.create_tables([Session])

    class Signatory(Model):
        id = TextField(primary_key=True)
        entity = ForeignKeyField(LegalEntity, on_delete="CASCADE")
        person = ForeignKeyField(Person)
        title = TextField()
        limit_amount = DecimalField(null=True, max_digits=18, decimal_places=2)
        limit_currency = TextField(default="EUR")
        valid_from = DateField(null=True)
        valid_until = DateField(null=True)
        authority = TextField(default="")
        authority_document_id = TextField(null=True)
        created_at = UtcField()
        ended_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "signatory"

    db.create_tables([Signatory])

    class SmsCode(Model):
        recipient = ForeignKeyField(Recipient, on_delete="CASCADE")
        code_sha256 = TextField()
        sent_at = UtcField()
        expires_at = UtcField()
        tries = IntegerField(default=0)
        used_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "sms_code"

    db.create_tables([SmsCode])

    class Task(Model):
        id = TextField(primary_key=True)
        contract = ForeignKeyField(Contract, on_delete="CASCADE")
        recipient = ForeignKeyField(Recipient, null=True, on_delete="CASCADE")
        kind = TextField()
        text = TextField(default="")
        created_at = UtcField()
        due_at = UtcField(null=True)
        done_at = UtcField(null=True)

        class Meta:
            database = db
            table_name = "task"
            indexes = ((("done_at", "created_at"), False),)

    db.create_tables([Task])

    protect_events(db)


def protect_events(db):
    """The trail refuses change and removal, whoever holds the database handle."""
    if isinstance(db, SqliteDatabase):
        for act in ("UPDATE", "DELETE"):
            db.execute_sql(
                f"CREATE TRIGGER audit_event_no_{act.lower()} BEFORE {act} ON audit_event "
                f"BEGIN SELECT RAISE(ABORT, 'audit events are append-only'); END"
            )
        return
    db.execute_sql(
        "CREATE FUNCTION audit_event_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit events are append-only'; END $$"
    )
    db.execute_sql(
        "CREATE TRIGGER audit_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_event_append_only()"
    )


def down(migrator, db):
    migrator.migrate(migrator.drop_table("task"))
    migrator.migrate(migrator.drop_table("sms_code"))
    migrator.migrate(migrator.drop_table("signatory"))
    migrator.migrate(migrator.drop_table("session"))
    migrator.migrate(migrator.drop_table("right"))
    migrator.migrate(migrator.drop_table("registered_file"))
    migrator.migrate(migrator.drop_table("reference_counter"))
    migrator.migrate(migrator.drop_table("recovery_code"))
    migrator.migrate(migrator.drop_table("policy_rule"))
    migrator.migrate(migrator.drop_table("person_token"))
    migrator.migrate(migrator.drop_table("person_role"))
    migrator.migrate(migrator.drop_table("page_image"))
    migrator.migrate(migrator.drop_table("outside_factor"))
    migrator.migrate(migrator.drop_table("notice"))
    migrator.migrate(migrator.drop_table("link_token"))
    migrator.migrate(migrator.drop_table("job"))
    migrator.migrate(migrator.drop_table("installation_fact"))
    migrator.migrate(migrator.drop_table("enrolment_code"))
    migrator.migrate(migrator.drop_table("contract_word"))
    migrator.migrate(migrator.drop_table("contract_contact"))
    migrator.migrate(migrator.drop_table("contact"))
    migrator.migrate(migrator.drop_table("consent"))
    migrator.migrate(migrator.drop_table("chain_head"))
    migrator.migrate(migrator.drop_table("audit_event"))
    migrator.migrate(migrator.drop_table("audit_detail"))
    migrator.migrate(migrator.drop_table("attempt"))
    migrator.migrate(migrator.drop_table("act"))
    migrator.migrate(migrator.drop_table("recipient"))
    migrator.migrate(migrator.drop_table("envelope"))
    migrator.migrate(migrator.drop_table("document"))
    migrator.migrate(migrator.drop_table("revision"))
    migrator.migrate(migrator.drop_table("contract"))
    migrator.migrate(migrator.drop_table("template_version"))
    migrator.migrate(migrator.drop_table("template"))
    migrator.migrate(migrator.drop_table("counterparty"))
    migrator.migrate(migrator.drop_table("legal_entity"))
    migrator.migrate(migrator.drop_table("person"))
    if not isinstance(db, SqliteDatabase):
        db.execute_sql("DROP FUNCTION IF EXISTS audit_event_append_only()")
