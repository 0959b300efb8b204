"""The fixed words printed in PDFs, in the language of the document and not of its reader."""

from __future__ import annotations

from portal.i18n import gettext as _
from portal.i18n import use


def for_contract(language: str) -> dict[str, str]:
    """Words for `ContractLayout` and `SignaturePageLayout`; {braces} are filled in by the template."""
    with use(language):
        return {
            "reference_line": _("Reference {reference}, revision {revision}"),
            "footer": _("{reference}, revision {revision}"),
            "page_of": _("Page {page} of {pages}"),
            "draft": _("Draft, not for signature"),
            "prevailing": _("If the texts of the two columns differ, the English text prevails."),
            "prevailing_fr": _("If the texts of the two columns differ, the French text prevails."),
            "signatures": _("Signatures"),
            "signed_for": _("Signed for {party}"),
            "signature": _("Signature and date"),
            "name": _("Name"),
            "title": _("Title"),
            "files": _("Documents"),
            "files_intro": _("The people below sign this document, which comes before this page:"),
            "file": _("File"),
            "pages": _("Pages"),
            "size": _("Size"),
            "fingerprint": _("SHA-256 fingerprint"),
        }


def for_certificate(language: str) -> dict[str, str]:
    """Words for `CertificateData`."""
    with use(language):
        return {
            "certificate": _("Certificate of completion"),
            "footer": _("{reference}, certificate of completion"),
            "page_of": _("Page {page} of {pages}"),
            "completed": _("Completed"),
            "document": _("Document"),
            "fingerprint": _("SHA-256 fingerprint"),
            "check": _("How to check"),
            "check_prefix": _(
                "The first {bytes} bytes of the sealed file are the document as it was shown, unchanged."
                " This command prints its fingerprint:"
            ),
            "check_file": _("This command prints the fingerprint of the document as it was shown:"),
            "seal": _("Company seal"),
            "people": _("People"),
            "organisation": _("Organisation"),
            "email": _("Email"),
            "role": _("Part"),
            "verified": _("How verified"),
            "consent": _("Consent to electronic records"),
            "ip": _("Internet address"),
            "intent": _("Agreed to, word for word"),
            "authority": _("Authority, word for word"),
            "events": _("What happened"),
            "at": _("When"),
            "what": _("What"),
            "who": _("Who"),
        }
