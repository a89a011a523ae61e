"""What an operation needs to succeed: by `operationId`, the ids of its path and, where the document's own schema is not enough, a body.

An operation without ids and without a body of its own needs no recipe.
"""

from world import PASSWORD

# Operations that only a person may call, who is signed in.
PERSONAL = {
    "ask_for_my_code", "change_me", "change_my_email", "change_my_password", "confirm_my_email", "delete_me", "end_my_session", "link_my_identity", "list_my_identities", "logout",
    "unlink_my_identity",
}

ITEM = {
    "sku": "STICKER", "quantity": "500", "material": "VINYL-W",
    "dimensions": [{"name": "width", "value": "80", "unit": "mm"}, {"name": "height", "value": "8", "unit": "cm"}],
}


def at(find, body=None, **ids):
    """A call on the thing that `find` finds, with this body."""
    def recipe(world):
        return {"path_parameters": {"id": find(world), **ids}, "body": body, "query": None}
    return recipe


def send(body=None, query=None, **ids):
    """A call with this body, this query and these path parameters; what is callable makes them."""
    def recipe(world):
        made = [part(world) if callable(part) else part for part in (body, query)]
        return {"path_parameters": ids, "body": made[0], "query": made[1]}
    return recipe


RECIPES = {
    # jobs
    "submit_job": send({"kind": "diagnostic.echo", "payload": {"data": 1}}),
    "submit_jobs": send([{"kind": "diagnostic.echo"}]),
    "get_job": at(lambda w: w.job()),
    "follow_job": at(lambda w: w.ended_job()),
    "list_children": at(lambda w: w.job()),
    "get_job_log": at(lambda w: w.job()),
    "cancel_job": at(lambda w: w.scheduled_job()),
    "retry_job": at(lambda w: w.scheduled_job()),
    "open_batch": send({}),
    "get_batch": at(lambda w: w.batch()),
    "seal_batch": at(lambda w: w.batch()),
    # queues
    "get_queue": send(queue="diagnostics"),
    "pause_queue": send(queue="campaigns"),
    "resume_queue": send(queue="campaigns"),
    # dead letters
    "get_dead_letter": at(lambda w: w.letter()),
    "redrive_dead_letter": at(lambda w: w.letter(), {}),
    "discard_dead_letter": at(lambda w: w.letter()),
    "redrive_dead_letters": send({"limit": 1}),
    "cancel_jobs": send({"kind": "nothing.of.this", "dry_run": True}),
    "discard_dead_letters": send({"limit": 1}),
    # tenants and keys
    "create_tenant": send(lambda w: {"name": f"Tenant {w.next()}"}),
    "get_tenant": at(lambda w: w.tenant_id),
    "change_tenant": at(lambda w: w.tenant_id, {"name": "Other"}),
    "approve_tenant": at(lambda w: w.tenant()),
    "suspend_tenant": at(lambda w: w.tenant()),
    "activate_tenant": at(lambda w: w.tenant()),
    "delete_tenant": lambda w: {
        "path_parameters": {"id": (doomed := w.suspended_tenant())[0]}, "body": None,
        "query": {"confirm": doomed[1], "delay_days": 7},
    },
    "restore_tenant": at(lambda w: w.deleted_tenant()),
    "create_api_key": send({"name": "one more", "role": "viewer"}),
    "change_api_key": at(lambda w: w.api_key(), {"name": "Other"}),
    "rotate_api_key": at(lambda w: w.api_key(), {}),
    "revoke_api_key": at(lambda w: w.api_key()),
    "create_platform_key": send({"name": "one more"}),
    "change_platform_key": at(lambda w: w.platform_api_key(), {"name": "Other"}),
    "rotate_platform_key": at(lambda w: w.platform_api_key(), {}),
    "revoke_platform_key": at(lambda w: w.platform_api_key()),
    # secrets
    "get_rotation": at(lambda w: w.rotation()),
    # accounts
    "create_account": send(lambda w: w.mailbox()),
    "create_google_account": send(lambda w: w.google_mailbox()),
    "get_account": at(lambda w: w.account_id),
    "change_account": at(lambda w: w.account(), {"display_name": "Another"}),
    "disconnect_account": at(lambda w: w.account()),
    "pause_account": at(lambda w: w.account()),
    "resume_account": at(lambda w: w.account()),
    "ask_consent": at(lambda w: w.google_account()),
    "list_account_events": at(lambda w: w.account_id),
    # products
    "create_product": send(lambda w: w.product_body()),
    "get_product": at(lambda w: w.product()),
    "change_product": at(lambda w: w.product(), {"name": "Other"}),
    "archive_product": at(lambda w: w.product()),
    # quotes
    "get_quote": at(lambda w: w.sent_quote()),
    "get_quote_pdf": at(lambda w: w.sent_quote()),
    "list_quote_events": at(lambda w: w.sent_quote()),
    "list_quote_revisions": at(lambda w: w.sent_quote()),
    "get_quote_revision_pdf": at(lambda w: w.sent_quote(), revision=1),
    "list_quote_attachments": at(lambda w: w.sent_quote()),
    "approve_quote": at(lambda w: w.quote("needs_review"), {"items": [ITEM]}),
    "accept_quote": at(lambda w: w.sent_quote()),
    "decline_quote": at(lambda w: w.sent_quote()),
    "renew_quote": at(lambda w: w.sent_quote()),
    "revise_quote": at(lambda w: w.sent_quote(), {"items": [ITEM]}),
    # mails
    "get_mail": at(lambda w: w.mail()),
    "get_raw_mail": at(lambda w: w.mail()),
    "resolve_mail": at(lambda w: w.waiting_mail()),
    "list_mail_attachments": at(lambda w: w.mail()),
    "get_attachment_content": at(lambda w: w.attachment()),
    "get_thread": at(lambda w: w.thread()),
    "get_message": at(lambda w: w.message("accepted")),
    "settle_message": at(lambda w: w.message("unknown"), {"outcome": "failed"}),
    "google_callback": send(query=lambda w: w.consent()),
    # people
    "register": send(lambda w: {"email": w.address(), "name": "Jo", "password": PASSWORD, "tenant_name": "Jo's"}),
    "confirm_registration": send(lambda w: w.registration()[1]),
    "login": send(lambda w: {"email": w.person("login")["email"], "password": PASSWORD}),
    "ask_for_code": send(lambda w: {"email": w.person("login")["email"]}),
    "verify_code": send(lambda w: w.code("/v1/auth/otp")),
    "ask_for_password_reset": send(lambda w: {"email": w.person("login")["email"]}),
    "reset_password": send(lambda w: {**w.code("/v1/auth/password-reset"), "password": "another horse battery"}),
    "sign_in_with_id_token": send(lambda w: {"id_token": w.id_token(), "tenant_name": "Jo's"}),
    "link_my_identity": send(lambda w: {"id_token": w.id_token()}),
    "unlink_my_identity": at(lambda w: w.identity("unlink_my_identity")),
    "refresh": send(lambda w: {"refresh_token": w.person("refresh")["refresh_token"]}),
    "accept_invitation": send(lambda w: w.invited()),
    "create_invitation": send(lambda w: {"email": w.address(), "role": "agent"}),
    "revoke_invitation": at(lambda w: w.invitation()[1]),
    "get_user": at(lambda w: w.member("get_user")),
    "change_user": at(lambda w: w.member("change_user"), {"role": "viewer"}),
    "remove_user": at(lambda w: w.member("remove_user")),
    "ask_for_my_code": send({"purpose": "delete_account"}),
    "change_my_email": send(lambda w: {"email": w.address(), "password": PASSWORD}),
    "confirm_my_email": send(lambda w: w.new_address("confirm_my_email")),
    "delete_me": send({"password": PASSWORD}),
    "add_platform_user": at(lambda w: w.member("add_platform_user")),
    "remove_platform_user": at(lambda w: w.platform_user()),
    "change_me": send({"name": "Jo"}),
    "change_my_password": send({"current_password": PASSWORD, "new_password": "another horse battery"}),
    "end_my_session": at(lambda w: w.person("end_my_session")["session_id"]),
    # others
    "get_problem": send(slug="not-found"),
}
