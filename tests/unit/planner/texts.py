"""Texts as people write them: a request for proposals, a mail, a German one, a plan."""

RFP = """\
REQUEST FOR PROPOSAL
RFP-2026-017: Library Management System for the City of Brenton

1. INTRODUCTION
The City of Brenton operates eleven public libraries with 180,000 registered members. The current system, \
LibTrak 4, was installed in 2009 and is no longer supported by its vendor.

2. SCOPE OF WORK
2.1 Functional Requirements
FR-1 The system shall allow members to search the catalogue by title, author, subject and ISBN.
FR-2 The system shall allow librarians to check items in and out by scanning a barcode.
FR-3 The system shall send overdue notices by e-mail and SMS. This depends on FR-6.
FR-4 Members shall be able to renew loans online up to three times.
FR-5 The system should integrate with the payment provider Stripe for fines.
FR-6 The system shall store contact data of members. It requires FR-3.
FR-7 The system may offer reading recommendations.

2.2 Non-Functional Requirements
NFR-1 Search results shall be displayed within 2 seconds for 95% of queries with 300 concurrent users.
NFR-2 The system shall be available 99.5% of the time during opening hours.
NFR-3 The user interface shall be intuitive and user-friendly.
NFR-4 All personal data shall be encrypted at rest and in transit. The solution shall comply with GDPR.
NFR-5 The system should be scalable.

3. DATA MIGRATION
All 2.1 million bibliographic records and the loan history of the last two years shall be migrated from LibTrak \
4 before go-live.

4. TIMELINE
Proposals must be submitted by 15 January 2027. The contract is expected to be awarded by 1 March 2027. Go-live \
shall be no later than 1 October 2027.

5. BUDGET
The budget for the project, including three years of maintenance, shall not exceed $850,000.

6. PROPOSAL REQUIREMENTS
Bidders shall provide three references of comparable projects. Proposals must include a training plan for 140 staff.

7. OUT OF SCOPE
Interlibrary loans with other cities.
Self-checkout kiosks.
"""
MAIL = """\
From: Karin Vogt <karin@example.org>
To: dev-team@example.org
Date: Mon, 23 Nov 2026 18:42:11 +0100
Subject: Re: Fwd: booking tool - quick summary (sorry for the mess)

Hi all,

so after the call today: the sales guys NEED to see who booked what, ideally on their phones. Marco said
customers keep calling because they cant cancel online, thats really annoying, so cancellation up to 24h before \
should work w/o calling us.

also
- calendar sync w/ Outlook (and maybe Google??)
- reminders by mail the day before, SMS would be nice
- must be fast!!
- Prices: TBD, Lisa is on vacation until the 7th, only she knows the discount rules

We have about 30k € and it has to be live before the trade fair on 12 March. Peter can help but only part-time.
What about the old Access database? Somebody has to move the 4000 customers.
No need for multiple languages for now.

Thanks!!
Karin

--
Karin Vogt
Head of Sales | +49 30 1234567

On Mon, Nov 23, 2026 at 3:10 PM Marco Bell <marco@example.org> wrote:
> Dont forget that every booking must go to the accounting (DATEV) by the end of the month, else the tax people \
kill us.
> Who is going to host this?
"""
GERMAN = """\
Lastenheft: Digitale Urlaubsverwaltung für die Müller & Söhne GmbH

1. Ausgangslage
Bisher werden Urlaubsanträge auf Papier gestellt. Das führt zu Fehlern und Verzögerungen.

2. Anforderungen
2.1 Funktionale Anforderungen
- Mitarbeiter müssen Urlaub online beantragen können.
- Vorgesetzte müssen Anträge genehmigen oder ablehnen können.
- Das System soll Überschneidungen im Team anzeigen.
- Die Resturlaubstage müssen nach SAP übertragen werden.
- Als Personalabteilung möchte ich Auswertungen als Excel-Datei exportieren, damit ich sie der Geschäftsführung \
zeigen kann.
- Es wäre schön, wenn Feiertage je Bundesland automatisch berücksichtigt werden könnten.

2.2 Nicht-funktionale Anforderungen
- Die Anwendung muss die DSGVO einhalten; Löschfristen von drei Jahren sind zu beachten.
- Die Oberfläche soll möglichst einfach und intuitiv sein.
- Antwortzeiten unter 2 Sekunden bei 400 gleichzeitigen Nutzern.

3. Rahmenbedingungen
Der Betriebsrat muss vor der Einführung zustimmen. Die Einführung soll bis spätestens 31.03.2027 abgeschlossen \
sein. Das Budget beträgt 45.000 €.
Offene Frage: Wer pflegt die Stammdaten?

4. Nicht enthalten
Zeiterfassung und Schichtplanung.
"""
PLAN = """\
# Migration to the new CRM

Goal: all sales staff work in the new CRM by summer.

## Phase 1: Preparation (2 weeks)
- Owner: Anna
- Collect requirements, depends on Phase 3
- Deliverable: signed list

## Phase 2: Data migration
- after Phase 1
- migrate everything as fast as possible
- TBD: who cleans the duplicates?

## Phase 3: Training
- Depends on phases 1 and 2
- Train the staff appropriately, starts 2027-03-01, ends 2027-03-10

## Phase 5: Rollout
- Requires Phase 4
- ends 2027-02-01
- Done when all users log in daily

Risks: none.
"""
