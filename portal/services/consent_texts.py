"""The words of the consent to electronic records, and of its sample PDF.

They stand here and not in the catalogues: what was agreed to must stay as it was. A change of
meaning is a new VERSION, and whoever agreed to an earlier one is asked again. Each section is a
heading and, indented, its text. Source: 15 USC 7001(c); Code civil art. 1366 to 1368.
"""

from __future__ import annotations

VERSION = "2026-11"

ENGLISH = """
What this covers
  You agree to receive the contract {reference} and the records that belong to it electronically,
  and to sign it electronically. This covers {reference} only, no other contract, now or later.

Paper instead
  You may have these records on paper, before or after you sign. Press “Ask for paper” on any
  signing page, or write to {email}. Paper copies are free of charge.

Taking it back
  You may take this consent back at any time. Press “Take back my consent” on any signing page, or
  write to {email}. It costs nothing. If you take it back before you sign, you cannot sign here, and
  {company} sends you paper, which takes longer. What you signed before stays valid.

If your address changes
  Write to {email} when your mail address or telephone number changes, so that messages reach you.

What you need
  A current browser (Firefox, Chrome, Edge or Safari), a mail address, a program that shows PDF
  files, and a place to keep them or a printer. Where a code is asked for: a telephone that receives
  text messages, or an authenticator app.

If these needs change
  If they change so that you might no longer be able to open your records, you are told what is new
  and asked again, and you may take your consent back without any charge or condition.

What your signature is
  You give a simple electronic signature. {company} keeps a record of what you were shown, how you
  were identified and when you signed. You and {company} accept this record as evidence, and each of
  you may prove that it is wrong.
"""

FRENCH = """
Ce que cela couvre
  Vous acceptez de recevoir le contrat {reference} et les documents qui s’y rattachent sous forme
  électronique, et de le signer électroniquement. Votre accord porte sur {reference} seulement, et
  sur aucun autre contrat, présent ou futur.

Le papier, si vous préférez
  Vous pouvez obtenir ces documents sur papier, avant ou après la signature. Appuyez sur « Demander
  le papier » sur toute page de signature, ou écrivez à {email}. Les copies papier sont gratuites.

Revenir sur votre accord
  Vous pouvez retirer cet accord à tout moment. Appuyez sur « Retirer mon accord » sur toute page de
  signature, ou écrivez à {email}. C’est gratuit. Si vous le retirez avant de signer, vous ne pouvez
  plus signer ici, et {company} vous envoie le papier, ce qui prend plus de temps. Ce que vous avez
  déjà signé reste valable.

Si vos coordonnées changent
  Écrivez à {email} lorsque votre adresse électronique ou votre numéro de téléphone change, afin que
  les messages vous parviennent.

Ce qu’il vous faut
  Un navigateur récent (Firefox, Chrome, Edge ou Safari), une adresse électronique, un logiciel qui
  affiche les fichiers PDF, et de quoi les conserver ou les imprimer. Si un code est demandé : un
  téléphone qui reçoit les SMS, ou une application d’authentification.

Si ces besoins changent
  S’ils changent au point que vous pourriez ne plus ouvrir vos documents, vous êtes informé de ce
  qui est nouveau, votre accord vous est redemandé, et vous pouvez le retirer sans frais ni
  condition.

La nature de votre signature
  Vous donnez une signature électronique simple. {company} garde la trace de ce qui vous a été
  montré, de la façon dont vous avez été identifié et du moment où vous avez signé. Vous et
  {company} convenez que cette trace fait preuve entre vous ; chacun peut apporter la preuve
  contraire.
"""

# A consumer reads one of these in a real PDF and types it back.
ENGLISH_WORDS = """
  anchor apple april basket bridge button candle carpet castle cherry circle cotton dinner engine
  feather finger forest garden ginger guitar hammer harbour island jacket kettle ladder lemon linen
  magnet marble meadow mirror mountain needle nickel orange orchard oyster paper pencil pepper
  pillow pocket rabbit ribbon river saddle sailor silver spring summer table thunder ticket timber
  tunnel valley velvet violet walnut window winter
"""

FRENCH_WORDS = """
  ancre abricot avril panier tunnel bouton bougie tapis navire cerise cercle coton dimanche moteur
  plume doigt jardin tilleul guitare marteau rivage rocher veste cascade chemin citron tissu aimant
  marbre prairie miroir montagne aiguille nickel orange verger horloge papier crayon poivre oreiller
  poche lapin ruban fleuve selle matelot argent printemps soleil table tonnerre billet sapin vallon
  velours violette noisette colline hiver lavande moulin olive phare
"""

Section = tuple[str, str]


def sections(text: str) -> tuple[Section, ...]:
    parts = (part.strip().split("\n", 1) for part in text.strip().split("\n\n"))
    return tuple((heading, " ".join(body.split())) for heading, body in parts)


SECTIONS = {"en": sections(ENGLISH), "fr": sections(FRENCH)}
WORDS = {"en": ENGLISH_WORDS.split(), "fr": FRENCH_WORDS.split()}
