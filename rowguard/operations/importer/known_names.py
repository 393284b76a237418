"""Words of other systems: the names of columns, and what an approved payment is called."""

from __future__ import annotations

# Names of a column of ours without blanks and marks; the first that fits a column of the file wins.
COLUMN_NAMES: dict[str, str] = {
    "occurred_at": (
        "occurredat createdat created timestamp datetime eventtime transactiontime transactiondate"
        " txdatetime transdatetranstime transtime txntime purchasetime paymenttime"
        " paidat authorizedat capturedat time ts date buchungszeit"
        " buchungsdatum buchungstag datum zeit zeitpunkt zeitstempel fecha data"
    ),
    "user_id": (
        "userid user customerid customer cus clientid client accountid account cardholderid cardholder"
        " payerid buyerid kundennummer kundennr kundenid kunde konto ccnum cardid sender nameorig"
    ),
    "amount": (
        "amount amt transactionamount txamount amountcents amountminor amountincents total totalamount"
        " value price betrag umsatz summe montant importe valor"
    ),
    "currency": "currency currencycode ccy cur waehrung wahrung devise moneda",
    "is_fraud": (
        "isfraud fraud fraudflag isfraudulent fraudulent label chargeback ischargeback disputed betrug"
        " istbetrug class txfraud"
    ),
    "labelled_at": (
        "labelledat labeledat disputedat reportedat chargebackat chargebackdate disputedate gemeldetam"
    ),
    "merchant_id": (
        "merchantid merchant store storeid shop shopid seller sellerid haendler handler handlerid"
        " terminalid terminal payee namedest"
    ),
    "external_id": (
        "externalid id chargeid charge paymentid payment orderid order transactionid txid transid"
        " transnum reference vorgang vorgangsnummer buchungsnummer referenz"
    ),
    "status": "status state result outcome responsecode zustand",
    "location": "location countrycode country land laendercode landercode merchantcountry ipcountry",
    "device_id": "deviceid device devicefingerprint fingerprint gerat geraet",
    "ip": "ip ipaddress ipaddr clientip remoteip",
    "card": "card cardfingerprint cardhash pan cardnumber karte kartennummer",
    "mcc": "mcc merchantcategorycode merchantcategory category categoria kategorie branche",
    "channel": "channel entrymode posentrymode kanal",
    "latitude": "latitude lat",
    "longitude": "longitude long lng lon",
}

APPROVED = frozenset(
    [
        "00",
        "accepted",
        "approved",
        "ausgefuhrt",
        "authorized",
        "bezahlt",
        "captured",
        "complete",
        "completed",
        "erfolgreich",
        "gebucht",
        "genehmigt",
        "ok",
        "paid",
        "settled",
        "succeeded",
        "success",
    ]
)
