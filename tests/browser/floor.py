"""What every browser from Chrome 99, Firefox 97 and Safari 15.4 on knows: the words our style sheets
may use freely, and newer ones that scripts and pages must not lean on.

Cascade layers set those three versions. Which word came when is from MDN's browser-compat-data
8.1.9, read 2026-11; a feature counts once an engine has it without flag, prefix or later removal.
tests/test_browsers.py compares.
"""

from __future__ import annotations

FLOOR = {"Chrome and Edge": "99", "Firefox": "97", "Safari": "15.4"}

AT_RULES = """
charset font-face import keyframes layer media namespace supports
"""

SELECTORS = """
active after any-link backdrop before checked cue default defined disabled empty enabled
file-selector-button first-child first-letter first-line first-of-type focus focus-visible focus-within host
hover in-range indeterminate invalid is lang last-child last-of-type link marker not nth-child
nth-last-child nth-last-of-type nth-of-type only-child only-of-type optional out-of-range part placeholder
placeholder-shown read-only read-write required root selection slotted target valid visited where
"""

MEDIA = """
any-hover any-pointer aspect-ratio color display-mode grid height hover monochrome orientation pointer
prefers-color-scheme prefers-reduced-motion width
"""

PROPERTIES = """
align-content align-items align-self all animation animation-delay animation-direction animation-duration
animation-fill-mode animation-iteration-count animation-name animation-play-state
animation-timing-function appearance aspect-ratio backface-visibility background background-attachment
background-blend-mode background-clip background-color background-image background-origin
background-position background-position-x background-position-y background-repeat background-size
block-size border border-block border-block-color border-block-end border-block-end-color
border-block-end-style border-block-end-width border-block-start border-block-start-color
border-block-start-style border-block-start-width border-block-style border-block-width border-bottom
border-bottom-color border-bottom-left-radius border-bottom-right-radius border-bottom-style
border-bottom-width border-collapse border-color border-end-end-radius border-end-start-radius
border-image border-image-outset border-image-repeat border-image-slice border-image-source
border-image-width border-inline border-inline-color border-inline-end border-inline-end-color
border-inline-end-style border-inline-end-width border-inline-start border-inline-start-color
border-inline-start-style border-inline-start-width border-inline-style border-inline-width border-left
border-left-color border-left-style border-left-width border-radius border-right border-right-color
border-right-style border-right-width border-spacing border-start-end-radius border-start-start-radius
border-style border-top border-top-color border-top-left-radius border-top-right-radius border-top-style
border-top-width border-width bottom box-shadow box-sizing break-after break-before break-inside
caption-side caret-color clear clip clip-path clip-rule color color-interpolation
color-interpolation-filters color-scheme column-count column-fill column-gap column-rule column-rule-color
column-rule-style column-rule-width column-span column-width columns contain content counter-increment
counter-reset cursor cx cy direction display dominant-baseline empty-cells fill fill-opacity fill-rule
filter flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap float flood-color
flood-opacity font font-family font-feature-settings font-kerning font-optical-sizing font-size
font-stretch font-style font-synthesis font-variant font-variant-caps font-variant-east-asian
font-variant-ligatures font-variant-numeric font-variation-settings font-weight gap grid grid-area
grid-auto-columns grid-auto-flow grid-auto-rows grid-column grid-column-end grid-column-start grid-row
grid-row-end grid-row-start grid-template grid-template-areas grid-template-columns grid-template-rows
height image-orientation image-rendering inline-size inset inset-block inset-block-end inset-block-start
inset-inline inset-inline-end inset-inline-start isolation justify-content justify-items justify-self left
letter-spacing lighting-color line-break line-height list-style list-style-image list-style-position
list-style-type margin margin-block margin-block-end margin-block-start margin-bottom margin-inline
margin-inline-end margin-inline-start margin-left margin-right margin-top marker marker-end marker-mid
marker-start mask-type max-block-size max-height max-inline-size max-width min-block-size min-height
min-inline-size min-width mix-blend-mode object-fit object-position offset-path opacity order
outline-color outline-offset outline-style outline-width overflow overflow-wrap overflow-x overflow-y
padding padding-block padding-block-end padding-block-start padding-bottom padding-inline
padding-inline-end padding-inline-start padding-left padding-right padding-top page-break-after
page-break-before page-break-inside perspective perspective-origin place-content place-items place-self
pointer-events position quotes r resize right row-gap scroll-behavior scroll-margin scroll-margin-block
scroll-margin-block-end scroll-margin-block-start scroll-margin-bottom scroll-margin-inline
scroll-margin-inline-end scroll-margin-inline-start scroll-margin-left scroll-margin-right
scroll-margin-top scroll-padding scroll-padding-block scroll-padding-block-end scroll-padding-block-start
scroll-padding-bottom scroll-padding-inline scroll-padding-inline-end scroll-padding-inline-start
scroll-padding-left scroll-padding-right scroll-padding-top scroll-snap-align shape-image-threshold
shape-margin shape-outside shape-rendering stop-color stop-opacity stroke stroke-dasharray
stroke-dashoffset stroke-linecap stroke-linejoin stroke-miterlimit stroke-opacity stroke-width tab-size
table-layout text-align text-anchor text-combine-upright text-decoration text-decoration-color
text-decoration-line text-decoration-skip-ink text-decoration-style text-decoration-thickness
text-emphasis text-emphasis-color text-emphasis-position text-emphasis-style text-indent text-orientation
text-overflow text-rendering text-shadow text-transform text-underline-offset text-underline-position top
touch-action transform transform-box transform-origin transform-style transition transition-delay
transition-duration transition-property transition-timing-function unicode-bidi vector-effect
vertical-align visibility white-space width will-change word-break word-spacing writing-mode x y z-index
"""

FUNCTIONS = """
attr blur brightness calc circle clamp conic-gradient contrast counter counters cubic-bezier drop-shadow
ellipse env fit-content format grayscale hsl hsla inset invert linear-gradient local matrix matrix3d max
min minmax opacity path perspective polygon radial-gradient repeat repeating-linear-gradient
repeating-radial-gradient rgb rgba rotate rotateX rotateY rotateZ saturate scale scaleX scaleY sepia skew
steps translate translateX translateY translateZ url var
"""

UNITS = "ch cm deg em ex fr in mm ms pc pt px rad rem s turn vh vmax vmin vw"

# Younger values of older properties, and younger ways to write CSS, each with what finds it.
NEWER_CSS = {
    "align-content: start": r"align-content:\s*(start|end)",
    "break-after: avoid": r"break-(after|before):\s*avoid",
    "content: … / …": r"content:[^;]*\" / \"",
    "float: inline-start": r"(float|clear):\s*inline-",
    "grid: subgrid": r"subgrid",
    "media ranges": r"@media[^{]*[<>]",
    "nesting": r"&",
    "overflow: clip": r"overflow(-[xy])?:\s*clip",
    "white-space: preserve": r"white-space:\s*(preserve|collapse)",
    "width: stretch": r"(width|height|size):\s*stretch",
}

# Methods and properties a script may not count on.
NEWER_SCRIPT = """
adoptedStyleSheets any ariaNotify canParse checkVisibility closedBy commandForElement difference findLast
findLastIndex fromAsync fromBase64 fromHex getAuthenticatorData getCoalescedEvents getHTML getOrInsert
getPublicKey getSetCookie getTransports groupBy hidePopover inert intersection isSubsetOf isWellFormed
moveBefore parseCreationOptionsFromJSON parseRequestOptionsFromJSON requestIdleCallback requestSubmit
roundRect setHTMLUnsafe showModal showPicker showPopover startViewTransition symmetricDifference toBase64
toHex toReversed toSorted toSpliced toWellFormed togglePopover union withResolvers
"""
NEWER_SYNTAX = {"lookbehind": r"\(\?<[=!]", "static blocks": r"static \{", "using": r"\busing \w+ ="}

# Attributes and elements a page may not count on.
NEWER_HTML = {
    "<search>": r"<search\b",
    "<details name>": r"<details[^>]* name=",
    "<dialog closedby>": r"closedby=",
    "popover": r"\bpopover(target)?\b",
    "inert": r"<[^>]*\sinert\b",
    "commandfor": r"commandfor=",
    "shadowrootmode": r"shadowrootmode=",
    "hidden=until-found": r"until-found",
}
