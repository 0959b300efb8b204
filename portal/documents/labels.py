"""The fixed words printed in PDFs, in the language of the document and not of its reader."""

from __future__ import annotations

from portal.i18n import gettext as _
from portal.i18n import pgettext, use


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
            "signatures": pgettext("in a PDF", "Signatures"),
            "signed_for": _("Signed for {party}"),
            "signature": _("Signature and date"),
            "name": pgettext("in a PDF", "Name"),
            "title": pgettext("in a PDF", "Title"),
            "files": pgettext("in a PDF", "Documents"),
            "files_intro": _("The people below sign this document, which comes before this page:"),
            "file": pgettext("in a PDF", "File"),
            "pages": pgettext("in a PDF", "Pages"),
            "size": pgettext("in a PDF", "Size"),
            "fingerprint": _("SHA-256 fingerprint"),
        }


def for_certificate(language: str) -> dict[str, str]:
    """Words for `CertificateData`."""
    with use(language):
        return {
            "certificate": _("Certificate of completion"),
            "footer": _("{reference}, certificate of completion"),
            "page_of": _("Page {page} of {pages}"),
            "completed": pgettext("in a PDF", "Completed"),
            "document": pgettext("in a PDF", "Document"),
            "fingerprint": _("SHA-256 fingerprint"),
            "check": _("How to check"),
            "check_prefix": _(
                "The first {bytes} bytes of the sealed file are the document as it was shown, unchanged."
                " This command prints its fingerprint:"
            ),
            "check_file": _("This command prints the fingerprint of the document as it was shown:"),
            "seal": _("Company seal"),
            "people": pgettext("in a PDF", "People"),
            "organisation": pgettext("in a PDF", "Organisation"),
            "email": pgettext("in a PDF", "Email"),
            "role": pgettext("in a PDF", "Part"),
            "verified": _("How verified"),
            "consent": _("Consent to electronic records"),
            "ip": _("Internet address"),
            "intent": _("Agreed to, word for word"),
            "authority": _("Authority, word for word"),
            "events": _("What happened"),
            "at": pgettext("in a PDF", "When"),
            "what": pgettext("in a PDF", "What"),
            "who": pgettext("in a PDF", "Who"),
        }
