"""Sends with smtplib, reads with imaplib; any surprise is an exception."""

import imaplib
import smtplib
import sys
from email import message_from_bytes
from email.message import EmailMessage

smtp_port, imap_port = (int(port) for port in sys.argv[1:])

mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"] = "Jörg <shop@example.test>", "shop@example.test", "Grüße"
mail.set_content("Text\n.\nmit Punkt\n")
mail.add_attachment(b"%PDF-1.7 not really", maintype="application", subtype="pdf", filename="Angebot Nr. 1.pdf")
for mechanism in ["PLAIN", "LOGIN"]:
    with smtplib.SMTP("127.0.0.1", smtp_port) as smtp:
        smtp.ehlo()
        assert smtp.has_extn("pipelining") and smtp.has_extn("size")
        smtp.user, smtp.password = "shop@example.test", "geheim"
        smtp.auth(mechanism, getattr(smtp, "auth_" + mechanism.lower()))
        smtp.send_message(mail)

with imaplib.IMAP4("127.0.0.1", imap_port) as imap:
    imap.authenticate("PLAIN", lambda _: b"\0shop@example.test\0geheim")
    assert {b"INBOX", b"Sent"} <= {line.split()[-1].strip(b'"') for line in imap.list()[1]}
    assert imap.select("INBOX") == ("OK", [b"2"])
    assert imap.uid("SEARCH", "SUBJECT", '"test"')[1] == [b""]
    assert imap.search(None, "UNSEEN", "FROM", "shop@example.test")[1] == [b"1 2"]
    kind, parts = imap.fetch("1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[]<0.20>)")
    assert parts[0][1].startswith(b"Subject: "), parts
    assert len(parts[1][1]) == 20, parts
    whole = message_from_bytes(imap.fetch("2", "(RFC822)")[1][0][1])
    text, pdf = whole.get_payload()
    assert pdf.get_filename() == "Angebot Nr. 1.pdf"
    assert b".\n" in text.get_payload(decode=True).replace(b"\r\n", b"\n")
    structure = imap.fetch("2", "(BODYSTRUCTURE ENVELOPE)")[1][0]
    assert b'"ATTACHMENT"' in structure and b'"MIXED"' in structure, structure
    assert imap.fetch("2", "(BODY.PEEK[2.MIME])")[1][0][1].startswith(b"Content-Type: application/pdf")
    assert b"\\Seen" in imap.fetch("2", "(FLAGS)")[1][0]
    imap.copy("2", "Trash")
    imap.store("1:*", "+FLAGS", "\\Deleted")
    assert imap.expunge()[1] == [b"2", b"1"]
    assert imap.append("Sent", "\\Seen", None, mail.as_bytes())[0] == "OK"
    assert imap.status("Trash", "(MESSAGES)")[1] == [b'"Trash" (MESSAGES 1)']
