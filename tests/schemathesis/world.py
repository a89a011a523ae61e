"""The installation under test, and its things. Each is made or found when an operation needs one."""

import email
import itertools
import json
import os
import re
import time
from urllib.parse import parse_qsl, urlsplit

import requests

PASSWORD = "correct horse battery"
CODE = r"\b([0-9]{6})\b"


class World:
    def __init__(self):
        with open(os.environ["POSTRIDER_WORLD"], encoding="utf-8") as told:
            for name, value in json.load(told).items():
                setattr(self, name, value)
        self.session = requests.Session()
        self.numbers = itertools.count(1)
        self.lists = {}
        self.people = {}
        # Nobody may revoke these: every other call comes with them.
        self.own_keys = {key["id"] for key in self.get("/v1/api-keys")["items"]}
        self.own_keys |= {key["id"] for key in self.call("GET", "/v1/platform/api-keys", platform=True)["items"]}

    # Calls

    def call(self, method, path, body=None, platform=False, key=None):
        headers = {"Authorization": f"Bearer {key or (self.platform_key if platform else self.admin_key)}"}
        if platform:
            headers["Postrider-Tenant"] = self.tenant_id
        answer = self.session.request(method, self.base + path, json=body, headers=headers, timeout=60)
        if answer.status_code >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None

    def get(self, path):
        return self.call("GET", path)

    def post(self, path, body, **more):
        return self.call("POST", path, body, **more)

    def refused(self, operation):
        """Whether the administrator's key may not call this operation at all; the path leads nowhere."""
        path = operation.path.replace("{", "").replace("}", "")
        headers = {"Authorization": f"Bearer {self.admin_key}"}
        return self.session.request(operation.method, self.base + path, headers=headers, timeout=60).status_code == 403

    def next(self):
        return next(self.numbers)

    def found(self, path):
        """The next item of a list; an item that an operation uses up is not given twice, unless there is no other."""
        if path not in self.lists:
            items = self.get(path)["items"]
            if not items:
                raise RuntimeError(f"there is nothing in {path}")
            self.lists[path] = itertools.cycle(items)
        return next(self.lists[path])

    # Things

    def job(self, **more):
        return self.post("/v1/jobs", {"kind": "diagnostic.echo", **more})["id"]

    def scheduled_job(self):
        return self.job(run_at="2099-01-01T00:00:00Z")

    def ended_job(self):
        job = self.job()
        self.get(f"/v1/jobs/{job}?wait=20s")
        return job

    def batch(self):
        return self.post("/v1/batches", {})["id"]

    def api_key(self):
        return self.post("/v1/api-keys", {"name": f"key {self.next()}", "role": "viewer"})["id"]

    def platform_api_key(self):
        return self.post("/v1/platform/api-keys", {"name": f"key {self.next()}"}, platform=True)["id"]

    def rotation(self):
        return self.post("/v1/secrets/rotate", None, platform=True)["id"]

    def tenant(self):
        return self.post("/v1/tenants", {"name": f"Tenant {self.next()}"}, platform=True)["id"]

    def suspended_tenant(self):
        """Its id and its name."""
        name = f"Tenant-{self.next()}"
        tenant = self.post("/v1/tenants", {"name": name}, platform=True)["id"]
        self.post(f"/v1/tenants/{tenant}/suspend", None, platform=True)
        return tenant, name

    def deleted_tenant(self):
        tenant, name = self.suspended_tenant()
        self.call("DELETE", f"/v1/tenants/{tenant}?confirm={name}", None, platform=True)
        return tenant

    def product_body(self):
        return {
            "sku": f"SIGN-{self.next()}", "name": "Sign", "formula": "width * height * 0.01",
            "dimensions": [{"name": name, "unit": "cm", "min": "1", "max": "500"} for name in ("width", "height")],
        }

    def product(self):
        return self.post("/v1/products", self.product_body())["id"]

    def mailbox(self):
        (imap, imap_port), (smtp, smtp_port) = (at.rsplit(":", 1) for at in (self.imap, self.smtp))
        address = f"office-{self.next()}@schemathesis.example"
        return {
            "address": address, "display_name": "Office", "time_zone": "Europe/Berlin", "password": "sandbox",
            "imap_host": imap, "imap_port": int(imap_port), "imap_security": "plain", "imap_username": address,
            "smtp_host": smtp, "smtp_port": int(smtp_port), "smtp_security": "plain", "smtp_username": address,
            "poll_interval_seconds": 86400,
        }

    def account(self):
        return self.post("/v1/accounts", self.mailbox())["id"]

    def google_mailbox(self):
        address = f"office-{self.next()}@gmail.example"
        self.session.post(f"{self.control}/mailboxes", json={"address": address, "password": "-"}, timeout=60)
        return {
            "address": address, "display_name": "Office", "time_zone": "Europe/Berlin", "poll_interval_seconds": 86400,
        }

    def google_account(self):
        return self.post("/v1/accounts/google", self.google_mailbox())["account"]["id"]

    def consent(self):
        """What Google sends the owner's browser back with."""
        url = self.post("/v1/accounts/google", self.google_mailbox())["consent"]["url"]
        location = self.session.get(url, allow_redirects=False, timeout=60).headers["Location"]
        return dict(parse_qsl(urlsplit(location).query))

    def quote(self, state):
        return self.found(f"/v1/quotes?limit=200&state={state}")["id"]

    def sent_quote(self):
        return self.quote("sent")

    def letter(self):
        return self.found("/v1/dead-letters?limit=200&state=dead")["id"]

    def message(self, state):
        return self.found(f"/v1/messages?limit=200&state={state}")["id"]

    def waiting_mail(self):
        return self.found("/v1/mails?limit=200&state=needs_review")["id"]

    def mail(self):
        return self.found("/v1/mails")["id"]

    def thread(self):
        return self.found("/v1/threads")["id"]

    def attachment(self):
        for mail in self.get("/v1/mails?limit=200")["items"]:
            for attachment in self.get(f"/v1/mails/{mail['id']}/attachments")["items"]:
                return attachment["id"]
        raise RuntimeError("no mail has an attachment")

    # People

    def mails(self, address):
        return self.session.get(f"{self.control}/mailboxes/{address}/messages", timeout=60).json()

    def mailed(self, address, pattern, after=0):
        """What the newest mail to this address that says so says, among those that come after so many; others may come, too."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            for mail in reversed(self.mails(address)[after:]):
                path = f"{self.control}/mailboxes/{address}/messages/{mail['uid']}/raw"
                raw = self.session.get(path, timeout=60).content
                said = re.search(pattern, email.message_from_bytes(raw).get_payload(decode=True).decode())
                if said:
                    return said.group(1)
            time.sleep(0.05)
        raise RuntimeError(f"no such mail came for {address}")

    def address(self):
        """The address of a mailbox in the sandbox: it takes mail from anybody for its own mailboxes only."""
        address = f"person-{self.next()}@schemathesis.example"
        self.session.post(f"{self.control}/mailboxes", json={"address": address, "password": "-"}, timeout=60)
        return address

    def registration(self):
        """A registration whose code was mailed."""
        address = self.address()
        body = {"email": address, "name": "Jo", "password": PASSWORD, "tenant_name": f"Business {self.next()}"}
        asked = self.post("/v1/auth/register", body)
        return address, {"challenge": asked["challenge"], "code": self.mailed(address, CODE)}

    def person(self, purpose):
        """Somebody with a business of their own, who is signed in; the same one for the same purpose."""
        if purpose not in self.people:
            address, confirmation = self.registration()
            self.post("/v1/auth/register/confirm", confirmation)
            signed_in = self.post("/v1/auth/login", {"email": address, "password": PASSWORD})
            self.people[purpose] = {"email": address, **signed_in}
        return self.people[purpose]

    def code(self, path):
        """A code for somebody who asked for it there; their first mail was about the registration."""
        address = self.person(path)["email"]
        seen = len(self.mails(address))
        asked = self.post(path, {"email": address})
        return {"challenge": asked["challenge"], "code": self.mailed(address, CODE, after=seen)}

    def new_address(self, purpose):
        """What the person with this purpose proves another address with."""
        address = self.address()
        asked = self.post(
            "/v1/me/email", {"email": address, "password": PASSWORD}, key=self.person(purpose)["access_token"])
        return {"challenge": asked["challenge"], "code": self.mailed(address, CODE)}

    def id_token(self):
        """A token of an issuer about somebody whom nobody knows yet."""
        claims = {
            "aud": "shop", "sub": f"subject {self.next()}", "email": f"person-{self.next()}@gmail.com",
            "email_verified": True, "name": "Jo",
        }
        url = f"{self.control}/oidc/google/tokens"
        return self.session.post(url, json={"claims": claims}, timeout=60).json()["id_token"]

    def identity(self, purpose):
        """An identity of the person with this purpose."""
        key = self.person(purpose)["access_token"]
        return self.post("/v1/me/identities", {"id_token": self.id_token()}, key=key)["id"]

    def invitation(self):
        """An invitation to the business, and who got it."""
        address = self.address()
        return address, self.post("/v1/invitations", {"email": address, "role": "agent"})["id"]

    def invited(self):
        """What somebody who was invited accepts with."""
        address, _ = self.invitation()
        return {"token": self.mailed(address, "token:\\s+(\\S+)"), "name": "Jo", "password": PASSWORD}

    def platform_user(self):
        """Somebody who runs the platform, and is not the last."""
        for purpose in ("stays", f"goes {self.next()}"):
            user = self.member(purpose)
            self.call("PUT", f"/v1/platform/users/{user}", platform=True)
        return user

    def member(self, purpose):
        """Somebody who works for the business; the same one for the same purpose."""
        if f"member {purpose}" not in self.people:
            self.people[f"member {purpose}"] = self.post("/v1/auth/invitations/accept", self.invited())["user_id"]
        return self.people[f"member {purpose}"]
