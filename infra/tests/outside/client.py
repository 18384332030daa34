"""Sends every type that pywa supports through the Meta simulator, and listens to its webhooks.

pywa is used as it is. It takes the caller's HTTP session, and that one goes to the simulator instead of Meta;
nothing else knows where it is. Standard input holds where and who as JSON. Standard output gets what was sent
as JSON: per step the wamid that pywa read in the answer. What the customers' phones then show is for the
caller to check.
"""

import datetime
import hashlib
import http.server
import json
import queue
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

import httpx
from pywa import WhatsApp, errors
from pywa import types as t
from pywa.types import templates as tt
from pywa.types.sent_update import SentMediaMessage, SentMessage, SentTemplate, SentTemplateStatus

here = json.load(sys.stdin)
META, PHONE, WABA = here["metaUrl"], here["phone"], here["waba"]
WRITER, CHOOSER, READER, STRANGER = (
    here["customers"][name] for name in ("writer", "chooser", "reader", "stranger")
)
VERIFY_TOKEN = "of-the-outside-client"
PATIENCE = 30
# One point, in the smallest files that the formats allow; the simulator looks at types and sizes only.
FILE = b"\x89PNG\r\n\x1a\n of no picture"
PICTURE = "https://files.example/picture.png"

session = httpx.Client(timeout=30, trust_env=False)
wa = WhatsApp(
    phone_id=PHONE,
    token=here["token"],
    session=session,
    waba_id=WABA,
    app_id=here["appId"],
    app_secret=here["appSecret"],
    verify_token=VERIFY_TOKEN,
)
session.base_url = f"{META}/v26.0"

steps = {}


def sent(step, result, kind=SentMessage, **more):
    """Notes a message that pywa takes for sent."""
    assert isinstance(result, kind), (step, result)
    assert result.id.startswith("wamid.") and result.from_phone_id == PHONE, (step, result)
    assert step not in steps, step
    steps[step] = {"wamid": result.id, **more}
    return result


def refused(step, error, code, call):
    """A refusal of Meta's, as pywa names it."""
    try:
        call()
    except errors.WhatsAppError as refusal:
        assert isinstance(refusal, error) and refusal.code == code, (step, repr(refusal))
        assert refusal.fbtrace_id, (step, repr(refusal))
        return
    raise AssertionError(f"{step} was not refused")


def sim(path, body):
    """The simulator's control API."""
    request = urllib.request.Request(f"{META}/_sim/{path}", json.dumps(body).encode(), method="POST")
    request.add_header("content-type", "application/json")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


# ---- webhooks ------------------------------------------------------------------------------------

heard = queue.Queue()


class Webhooks(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        self.answer(*wa.webhook_challenge_handler(query.get("hub.verify_token"), query.get("hub.challenge")))

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        wrong = wa.webhook_update_validator(body, self.headers["x-hub-signature-256"])
        self.answer(*(wrong or wa.webhook_update_handler(body)))

    def answer(self, text, status):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(str(text).encode())

    def log_message(self, *_):
        pass


for listen in (wa.on_message, wa.on_message_status, wa.on_callback_button, wa.on_callback_selection):
    listen(lambda _, update: heard.put(update))


def hear(kind, **members):
    """The next update of this kind and these members. Statuses come in between, in any order."""
    deadline, others = time.monotonic() + PATIENCE, []
    while True:
        try:
            update = heard.get(timeout=max(0.1, deadline - time.monotonic()))
        except queue.Empty:
            raise AssertionError(f"no {kind.__name__} with {members} came, only {others}") from None
        if isinstance(update, kind) and all(
            getattr(update, name) == value for name, value in members.items()
        ):
            for other in others:
                heard.put(other)
            return update
        others.append(update)


def writes(message):
    """The writer writes; what pywa makes of the webhook."""
    kinds = {"button_reply": t.CallbackButton, "list_reply": t.CallbackSelection}
    kind = kinds.get(message.get("interactive", {}).get("type"), t.Message)
    return hear(kind, id=sim(f"customers/{WRITER}/messages", {"to": PHONE, "message": message})["wamid"])


def webhooks():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Webhooks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    assert wa.override_phone_callback_url(callback_url=address, verify_token=VERIFY_TOKEN)
    text = writes({"type": "text", "text": {"body": "Grüße 🌍"}})
    assert (text.text, text.from_user.wa_id, text.metadata.phone_number_id) == ("Grüße 🌍", WRITER, PHONE)
    assert text.from_user.bsuid, text
    place = writes({"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Bakery"}})
    assert (place.location.latitude, place.location.name) == (52.5, "Bakery")
    picture = writes({"type": "image", "image": {"caption": "Look"}})
    assert (picture.caption, picture.image.mime_type) == ("Look", "image/jpeg")
    assert picture.image.get_bytes(), "pywa fetches the file of a webhook"
    asked = sent("question", wa.send_message(WRITER, "Yes or no?"))
    reply = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}
    button = writes({"type": "interactive", "context": {"id": asked.id}, "interactive": reply})
    assert (button.data, button.title, button.reply_to_message.id) == ("yes", "Yes", asked.id)
    reply = {"type": "list_reply", "list_reply": {"id": "r1", "title": "Row"}}
    row = writes({"type": "interactive", "context": {"id": asked.id}, "interactive": reply})
    assert (row.data, row.title) == ("r1", "Row")
    ad = writes(
        {
            "type": "text",
            "text": {"body": "Hi"},
            "referral": {"source_type": "ad", "source_id": "1", "source_url": "https://ad.example"},
        }
    )
    assert ad.referral.source_id == "1", ad
    return text


# ---- types ---------------------------------------------------------------------------------------


def plain_types(question):
    first = sent(
        "text", wa.send_message(WRITER, "See https://shop.example", preview_url=True, tracker="mine")
    )
    assert first.to == WRITER, first
    for state in ("SENT", "DELIVERED"):
        status = hear(t.MessageStatus, id=first.id, status=t.MessageStatusType[state])
        assert status.tracker == "mine", status
    sent(
        "text to a formatted number", wa.send_message(f"+{WRITER[:1]} ({WRITER[1:4]}) {WRITER[4:]}", "Hello")
    )
    sent("text to an id", wa.send_message(question.from_user.bsuid, "Hello"))
    sent(
        "text that quotes",
        wa.send_message(WRITER, "Yes", reply_to_message_id=question.id),
        quotes=question.id,
    )
    sent("location", wa.send_location(WRITER, 52.5, 13.4, "Bakery", "Example Street 1"))
    card = t.Contact(
        name=t.Contact.Name(formatted_name="Ada Baker", first_name="Ada"),
        birthday="1990-01-02",
        phones=[t.Contact.Phone(phone="+15550100200", type="WORK", wa_id="15550100200")],
        emails=[t.Contact.Email(email="ada@bakery.example", type="WORK")],
        urls=[t.Contact.Url(url="https://bakery.example", type="WORK")],
        addresses=[t.Contact.Address(street="Example Street 1", city="Berlin", country_code="DE")],
        org=t.Contact.Org(company="Bakery"),
    )
    sent("contacts", wa.send_contact(WRITER, [card, card]))
    sent("reaction", wa.send_reaction(WRITER, "🎉", question.id), quotes=question.id)
    sent("reaction removed", wa.remove_reaction(WRITER, question.id), quotes=question.id)
    assert wa.mark_message_as_read(question.id)
    assert wa.indicate_typing(question.id)


def files():
    media = wa.upload_media(FILE, mime_type="image/png", filename="picture.png")
    known = wa.get_media_url(media.id)
    assert (known.mime_type, known.file_size) == ("image/png", len(FILE)), known
    assert known.sha256 == hashlib.sha256(FILE).hexdigest(), known
    assert wa.get_media_bytes(known.url) == FILE
    with tempfile.TemporaryDirectory() as folder:
        assert wa.download_media(url=known.url, path=folder, filename="again.png").read_bytes() == FILE
    sent("image by id", wa.send_image(WRITER, media, caption="One"), SentMediaMessage, media=media.id)
    assert wa.delete_media(media.id)
    refused("a deleted file", errors.WhatsAppError, 100, lambda: wa.get_media_url(media.id))

    def uploads(step, call):
        message = sent(step, call, SentMediaMessage)
        steps[step]["media"] = message.uploaded_media.id

    sent("image by link", wa.send_image(WRITER, PICTURE, caption="Two"), SentMediaMessage)
    uploads("image of bytes", wa.send_image(WRITER, FILE, mime_type="image/png"))
    sent(
        "video by link",
        wa.send_video(WRITER, "https://files.example/film.mp4", caption="Film"),
        SentMediaMessage,
    )
    uploads("video of bytes", wa.send_video(WRITER, FILE, mime_type="video/mp4"))
    sent("audio by link", wa.send_audio(WRITER, "https://files.example/song.mp3"), SentMediaMessage)
    voice = wa.upload_media(FILE, mime_type="audio/ogg", filename="voice.ogg")
    sent("voice by id", wa.send_voice(WRITER, voice), SentMediaMessage, media=voice.id)
    sent(
        "document by link",
        wa.send_document(WRITER, "https://files.example/bill.pdf", filename="bill.pdf", caption="Bill"),
        SentMediaMessage,
    )
    uploads("document of bytes", wa.send_document(WRITER, FILE, filename="note.txt", mime_type="text/plain"))
    sent("sticker by link", wa.send_sticker(WRITER, "https://files.example/fun.webp"), SentMediaMessage)
    uploads("sticker of bytes", wa.send_sticker(WRITER, FILE, mime_type="image/webp"))


def choices():
    yes, no = t.Button("Yes", callback_data="yes"), t.Button("No", callback_data="no")
    sent("buttons", wa.send_message(CHOOSER, "Cake?", header="Today", footer="Fresh", buttons=[yes, no]))
    sent(
        "buttons under a picture",
        wa.send_image(CHOOSER, PICTURE, caption="Cake?", buttons=[yes]),
        SentMediaMessage,
    )
    sent(
        "buttons under a document",
        wa.send_document(
            CHOOSER, "https://files.example/bill.pdf", filename="bill.pdf", caption="Pay?", buttons=[yes]
        ),
        SentMediaMessage,
    )
    link = t.URLButton("Open", url="https://shop.example")
    sent("cta_url", wa.send_message(CHOOSER, "The shop", buttons=link))
    sent(
        "cta_url under a film",
        wa.send_video(CHOOSER, "https://files.example/film.mp4", caption="Shop", buttons=link),
        SentMediaMessage,
    )
    sections = [
        t.Section("Cakes", [t.SectionRow("Apple", "apple", "With cream"), t.SectionRow("Plum", "plum")]),
        t.Section("Bread", [t.SectionRow("Rye", "rye")]),
    ]
    sent("list", wa.send_message(CHOOSER, "What?", buttons=t.SectionList("Menu", sections)))
    flow = t.FlowButton(
        "Book",
        flow_id="700",
        flow_token="mine",
        flow_action_type=t.flows.FlowActionType.NAVIGATE,
        flow_action_screen="START",
        flow_action_payload={"day": "1"},
    )
    sent("flow", wa.send_message(CHOOSER, "A table?", buttons=flow))
    named = t.FlowButton(
        "Book",
        flow_name="tables",
        flow_token="mine",
        flow_action_type=t.flows.FlowActionType.DATA_EXCHANGE,
        mode=t.flows.FlowStatus.DRAFT,
    )
    sent("flow by name", wa.send_message(CHOOSER, "A table?", buttons=named))
    sent("location_request_message", wa.request_location(CHOOSER, "Where are you?"))
    sent("contact_request", wa.request_contact_info(CHOOSER, "Your number?"))
    sent(
        "voice_call",
        wa.send_message(
            CHOOSER, "Call us", buttons=t.VoiceCallButton("Call", datetime.timedelta(minutes=60))
        ),
    )
    sent(
        "call_permission_request",
        wa.send_message(CHOOSER, "May we call?", buttons=t.CallPermissionRequestButton()),
    )
    sent("catalog_message", wa.send_catalog(CHOOSER, "All cakes", "Fresh", thumbnail_product_sku="sku-1"))
    sent("product", wa.send_product(CHOOSER, "300", "sku-1", "This one", "Fresh"))
    products = [t.ProductsSection("Cakes", ["sku-1", "sku-2"]), t.ProductsSection("Bread", ["sku-3"])]
    sent("product_list", wa.send_products(CHOOSER, "300", products, "Shop", "All", "Fresh"))
    pictures = [
        t.ImageCarouselCard(body=f"Cake {n}", image=PICTURE, buttons=[t.Button("This", f"cake-{n}")])
        for n in (1, 2)
    ]
    sent("carousel", wa.send_carousel(CHOOSER, body="Cakes", cards=pictures))
    films = [t.VideoCarouselCard(video="https://files.example/film.mp4", buttons=link) for _ in (1, 2)]
    sent("carousel of films", wa.send_carousel(CHOOSER, body="Films", cards=films))


# ---- templates -----------------------------------------------------------------------------------


def approved(template):
    """Creates a template and waits until the simulator approved it."""
    created = wa.create_template(template)
    assert created.status == tt.TemplateStatus.PENDING and created.category == template.category, created
    deadline = time.monotonic() + PATIENCE
    while created.get().status != tt.TemplateStatus.APPROVED:
        assert time.monotonic() < deadline, created
        time.sleep(0.05)
    return created


def template(name, components, category=tt.TemplateCategory.MARKETING, form=tt.ParamFormat.NAMED):
    language = tt.TemplateLanguage.ENGLISH_US
    return tt.Template(
        name=name, language=language, category=category, components=components, parameter_format=form
    )


def templates():
    english = tt.TemplateLanguage.ENGLISH_US
    goes = dict(kind=SentTemplate)
    header, body = tt.HeaderText("Sale of {{day}}", day="Monday"), tt.BodyText(
        "Hi {{name}}, all for {{price}} only", name="Ada", price="1 €"
    )
    reply, link = tt.QuickReplyButton(text="Stop"), tt.URLButton(
        text="Open", url="https://shop.example/{{1}}", example="a"
    )
    offer = template("offer", [header, body, tt.FooterText(text="Bye"), tt.Buttons(buttons=[reply, link])])
    created = approved(offer)
    params = [
        header.params(day="Friday"),
        body.params(name="Bea", price="2 €"),
        reply.params(callback_data="stop", index=0),
        link.params(url_variable="cakes", index=1),
    ]
    told = sent("template with names", wa.send_template(READER, template=offer, params=params), **goes)
    assert told.status == SentTemplateStatus.ACCEPTED, told

    order = template(
        "order",
        [tt.BodyText("Order {{1}} of {{2}} is ready.", "1", "Monday")],
        tt.TemplateCategory.UTILITY,
        tt.ParamFormat.POSITIONAL,
    )
    approved(order)
    positions = [tt.BodyText.params("77", "Friday")]
    sent("template with positions", wa.send_template(READER, "order", english, positions), **goes)
    sent("template to an unopened window", wa.send_template(STRANGER, "order", english, positions), **goes)

    pictured = template(
        "pictured",
        [tt.HeaderImage(example=FILE, mime_type="image/png"), tt.BodyText("Look")],
        form=tt.ParamFormat.POSITIONAL,
    )
    approved(pictured)
    sent(
        "template with a picture",
        wa.send_template(READER, "pictured", english, [tt.HeaderImage.params(image=PICTURE)]),
        **goes,
    )

    place = template(
        "place",
        [tt.HeaderLocation(), tt.BodyText("Here we are")],
        tt.TemplateCategory.UTILITY,
        tt.ParamFormat.POSITIONAL,
    )
    approved(place)
    sent(
        "template with a place",
        wa.send_template(
            READER,
            "place",
            english,
            [tt.HeaderLocation.params(lat=52.5, lon=13.4, name="Bakery", address="Example Street 1")],
        ),
        **goes,
    )

    coupon = template(
        "coupon",
        [tt.BodyText("Save"), tt.Buttons(buttons=[tt.CopyCodeButton(example="SAVE10")])],
        form=tt.ParamFormat.POSITIONAL,
    )
    approved(coupon)
    sent(
        "template with a coupon",
        wa.send_template(
            READER, "coupon", english, [tt.CopyCodeButton.params(coupon_code="SAVE20", index=0)]
        ),
        **goes,
    )

    listed = {it.name: it for it in wa.get_templates()}
    assert {"offer", "order", "pictured", "place", "coupon"} <= listed.keys(), listed
    assert (
        listed["offer"].status == tt.TemplateStatus.APPROVED and listed["offer"].language == english
    ), listed["offer"]
    assert [it.name for it in wa.get_templates(name="order")] == ["order"]
    assert created.get().name == "offer"
    changed = wa.update_template(created.id, new_components=[tt.BodyText("All new")])
    assert changed.success and changed.id == created.id, changed
    assert wa.delete_template("coupon")
    refused(
        "a template that is gone",
        errors.TemplateNotExists,
        132001,
        lambda: wa.send_template(READER, "coupon", english, []),
    )
    refused(
        "too few parameters",
        errors.TemplateParamCountMismatch,
        132000,
        lambda: wa.send_template(READER, "order", english, [tt.BodyText.params("1")]),
    )


# ---- the account, and refusals -------------------------------------------------------------------


def account():
    assert wa.get_business_account().id == WABA
    number = wa.get_business_phone_number()
    assert number.id == PHONE and number.display_phone_number, number
    assert [it.id for it in wa.get_business_phone_numbers()] == [PHONE]
    assert wa.get_business_phone_number_settings(), "settings of the number"


def refusals():
    refused("outside the window", errors.ReEngagementMessage, 131047, lambda: wa.send_message(STRANGER, "Hi"))
    refused("too long", errors.WhatsAppError, 100, lambda: wa.send_message(WRITER, "x" * 4097))
    stranger = WhatsApp(phone_id=PHONE, token="EAAnobody", session=(other := httpx.Client(trust_env=False)))
    other.base_url = session.base_url
    refused("a wrong token", errors.WhatsAppError, 190, lambda: stranger.send_message(WRITER, "Hi"))


question = webhooks()
for customer in (CHOOSER, READER):
    sim(
        f"customers/{customer}/messages",
        {"to": PHONE, "message": {"type": "text", "text": {"body": "Hello"}}},
    )
plain_types(question)
files()
choices()
templates()
account()
refusals()
json.dump(steps, sys.stdout)
