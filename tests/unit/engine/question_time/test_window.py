"""The windows of time that queries name: each form in five languages, look-alikes, calendars and zones."""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memweld.engine.question_time import QuestionTime, window_of

# A Saturday.
NOW = datetime(2026, 11, 28, 18, 30, tzinfo=timezone.utc)


def shown(window: QuestionTime | None, zone: str = "UTC") -> str:
    """The window as ``2026-03-01..2026-04-01``, with times where it does not begin or end at midnight."""
    if window is None:
        return "none"

    def moment(seconds: float) -> str:
        if math.isinf(seconds):
            return ""
        text = datetime.fromtimestamp(seconds, ZoneInfo(zone)).isoformat()[:16]
        return text.removesuffix("T00:00")

    return f"{moment(window.start)}..{moment(window.end)}"


def cases(table: str) -> list[tuple[str, str]]:
    """Pairs of a query and its window; the window of a line holds for all queries of it, which commas part."""
    rows = [line.split("=") for line in table.strip().splitlines()]
    return [(query.strip(), window.strip()) for window, queries in rows for query in queries.split("|")]


ENGLISH = """
2026-11-27..2026-11-28       = What did I do yesterday? | yesterday | Yesterday I ate fish
2026-11-26..2026-11-27       = the day before yesterday | two days ago | 2 days ago
2026-11-28..2026-11-29       = What happened today?
2026-11-29..2026-11-30       = What do I have tomorrow?
2026-11-30..2026-12-01       = the day after tomorrow | next Monday
2026-11-28T04:00..2026-11-28T12:00 = What did I eat this morning?
2026-11-27T17:00..2026-11-28 = Where was I yesterday evening? | yesterday night
2026-11-27T18:00..2026-11-28T06:00 = Who called last night?
2026-11-28T18:00..2026-11-29T06:00 = the plan for tonight
2026-11-16..2026-11-23       = What did I do last week? | the previous week | Last Week | a week ago | one week ago
2026-11-23..2026-11-30       = this week | the current week
2026-11-30..2026-12-07       = What is on next week? | the coming week
2026-11-09..2026-11-16       = the week before last | two weeks ago | a couple of weeks ago
2026-11-21..2026-11-23       = last weekend
2026-11-28..2026-11-30       = this weekend
2026-10-01..2026-11-01       = last month | a month ago | in October | last October
2026-09-01..2026-10-01       = two months ago | September 2026 | in September | since we met in Sept
2026-07-01..2026-10-01       = last quarter | Q3 2026 | in Q3
2025-01-01..2026-01-01       = last year | a year ago | in 2025 | in the year 2025 | during 2025
2027-01-01..2028-01-01       = next year | in 2027
2024-01-01..2025-01-01       = two years ago | What did I buy in 2024?
1990-01-01..2000-01-01       = in the 1990s
2026-11-23..2026-11-24       = on Monday | last Monday | What did I say on monday?
2026-11-27..2026-11-28       = on Friday | this Friday
2026-11-21..2026-11-22       = on Saturday | last saturday
2026-03-01..2026-04-01       = Where did I live in March? | in march | last March | March 2026
2026-11-01..2026-12-01       = in November | this November | this month
2025-12-01..2026-01-01       = in December | December 2025 | in December of last year
2024-05-01..2024-06-01       = in May 2024 | in may 2024 | What was in May of 2024?
2026-05-03..2026-05-04       = on 3 May | on May 3 | on May 3rd | on the 3rd of May | on may 3
2026-05-03..2026-05-04       = 3 May 2026 | May 3, 2026 | 2026-05-03 | 03.05.2026 | What is 3rd may? | see May 3
2026-12-03..2026-12-04       = December 3, 2026
2025-12-03..2025-12-04       = on 3 December | December 3
2026-05-13..2026-05-14       = 13/5/2026 | 5/13/2026 | 2026/05/13
2026-06-01..2026-09-01       = last summer | in summer | in the summer | this summer | summer 2026 | the summer of 2026
2026-03-01..2026-06-01       = last spring | in spring | spring 2026
2026-09-01..2026-12-01       = in the fall | this autumn | fall 2026
2025-12-01..2026-03-01       = last winter | in winter | winter 2025
2025-12-24..2025-12-27       = at Christmas | last Christmas | over christmas
2026-11-25..2026-11-28T18:30 = in the last 3 days | in the past three days | the last three days
2026-11-21..2026-11-28T18:30 = the past week
2026-08-28..2026-11-28T18:30 = the last three months | in the past 3 months
2026-11-28T18:30..2026-12-02 = the next 3 days
2026-11-28T17:30..2026-11-28T18:30 = in the last hour
2026-11-28T15:30..2026-11-28T17:30 = two hours ago
2026-11-28T18:15..2026-11-28T18:25 = What did I say 10 minutes ago?
2026-11-22..2026-11-27       = a few days ago | several days ago
2026-03-01..2026-11-28T18:30 = Where have I lived since March? | since march
2024-01-01..2026-11-28T18:30 = since 2024
2026-11-23..2026-11-28T18:30 = since Monday
2025-01-01..2026-11-28T18:30 = since last year
..2023-01-01                 = Where did I live before 2023? | prior to 2023
..2026-03-01                 = before March
..2026-04-01                 = until March
2021-01-01..2026-11-28T18:30 = after 2020
2031-01-01..                 = after 2030
2026-05-01..2026-08-01       = between May and July | from May to July | from may until july
2025-11-01..2026-03-01       = between November and February
2024-05-01..2024-08-01       = between May and July 2024
2020-01-01..2023-01-01       = between 2020 and 2022 | from 2020 to 2022
2025-03-01..2025-04-01       = in March last year | last year in March
2026-05-01..2026-06-01       = half a year ago
2026-11-09..2026-11-16       = a fortnight ago
2026-10-26..2026-11-02       = two fortnights ago
2026-11-14..2026-11-28T18:30 = in the last fortnight | the past fortnight
2026-11-08..2026-11-09       = twenty days ago
2026-05-01..2026-05-02       = on the first of May | see May the first | on May first | on the first of may
2024-05-21..2024-05-22       = on the twenty-first of May 2024 | May twenty-first, 2024
2026-05-02..2026-11-28T18:30 = after the first of May
2024-03-01..2024-04-01       = residence in 2024-03 | home 2024-03 | in 03/2024 | in March '24 | Mar 2024 | in march ’24
2024-03-01..2024-05-01       = from 2024-03 to 2024-04 | between 2024-03 and 2024-04
1998-06-01..1998-09-01       = in the summer of '98
2024-05-03..2024-05-10       = between 3 and 9 May 2024 | from the 3rd to the 9th of May 2024
2026-04-03..2026-04-07       = at Easter | over Easter | last Easter
2024-03-29..2024-04-02       = at Easter 2024 | over Easter of 2024
2023-12-24..2023-12-27       = at Christmas 2023
2025-05-01..2025-06-01       = a year and a half ago | one and a half years ago
2026-05-28..2026-11-28T18:30 = in the last half year | the past half year | since half a year
2026-11-28T17:45..2026-11-28T18:15 = half an hour ago
2026-11-09..2026-11-16       = a couple weeks ago
2024-01-01..2024-05-01       = early 2024 | early in 2024 | at the beginning of 2024 | the start of the year 2024
2024-05-01..2024-09-01       = mid 2024 | mid-2024 | in the middle of 2024
2024-09-01..2025-01-01       = late 2024 | at the end of 2024
2025-01-01..2025-05-01       = early last year | at the beginning of last year
2026-09-01..2027-01-01       = late this year
1990-01-01..1993-05-01       = in the early 1990s
2026-03-01..2026-03-11       = at the beginning of March | early March | in early March | the first week of March
2026-03-11..2026-03-22       = in the middle of March | mid-March | mid march
2026-03-21..2026-04-01       = at the end of March | the end of march | the last week of March | last week in March
2024-03-21..2024-04-01       = at the end of March 2024 | late March 2024 | the last week of March 2024
2026-11-21..2026-12-01       = late November
2025-12-21..2026-01-01       = late December
2026-08-01..2026-09-01       = late summer | in the late summer of 2026
2024-01-01..2026-11-28T18:30 = since early 2024
..2026-03-21                 = before the end of March
2026-03-01..2026-05-01       = between the beginning of March and the end of April
2026-11-17..2026-11-18       = on Tuesday last week
2025-06-01..2025-09-01       = in the summer last year
2026-01-01..2026-04-01       = in January or in March?
2023-07-27..2023-08-03       = the week before August 3, 2023
2025-12-22..2025-12-23       = two days before Christmas
2026-05-03..2026-05-04       = on Monday, 3 May | What did I do Monday, May 3?
2026-10-29..2026-11-28T18:30 = What did I buy recently? | lately | What have I read of late?
2026-05-01..2026-06-01       = What did I buy in May, before? | my previous purchases in May | recently, in May
..2026-11-28T18:30           = Where did I live before? | Where did I live before? And what now? | my former job
..2026-11-28T18:30           = Where did I use to live? | What did I used to drink? | Where did my sister use to live?
..2026-11-28T18:30           = Tell me what I used to eat | I used to live in Porto | How often did we use to meet?
..2026-11-28T18:30           = Where did I live previously? | What was my previous home? | Where did I live back then?
..2026-11-28T18:30           = What was my old phone number? | Where did I work in the past? | Ana's former job
..2026-11-28T18:30           = Can you tell me where I lived before?
2022-01-23..2022-01-24       = What did I finish last Friday on 23 January, 2022?
2023-05-01..2023-06-01       = in May, in 2023 | in 2023 and in May
"""
GERMAN = """
2026-11-27..2026-11-28       = Was habe ich gestern gemacht? | gestern
2026-11-26..2026-11-27       = vorgestern | vor zwei Tagen
2026-11-25..2026-11-26       = vor drei Tagen | vor 3 Tagen
2026-11-29..2026-11-30       = Was habe ich morgen vor?
2026-11-28T04:00..2026-11-28T12:00 = heute Morgen | heute früh
2026-11-27T17:00..2026-11-28 = gestern Abend
2026-11-27T18:00..2026-11-28T06:00 = letzte Nacht
2026-11-16..2026-11-23       = Was war letzte Woche? | in der letzten Woche | vorige Woche | vor einer Woche
2026-11-09..2026-11-16       = vorletzte Woche | vor zwei Wochen
2026-10-17..2026-11-28T18:30 = in den letzten paar Wochen
2026-11-30..2026-12-07       = nächste Woche | kommende Woche
2026-10-01..2026-11-01       = letzten Monat | im letzten Monat | vor einem Monat | im Oktober
2025-01-01..2026-01-01       = letztes Jahr | im vergangenen Jahr | vor einem Jahr | im Jahr 2025 | im Jahre 2025
2026-11-23..2026-11-24       = am Montag | letzten Montag
2026-11-21..2026-11-23       = letztes Wochenende
2026-03-01..2026-04-01       = Wo wohnte ich im März? | letzten März | März 2026
2024-03-01..2024-04-01       = im März 2024
2026-05-03..2026-05-04       = am 3. Mai | 3. Mai 2026 | 3.5.2026 | am 03.05.2026
2026-06-01..2026-09-01       = letzten Sommer | im Sommer | im letzten Sommer | im Sommer 2026
2025-12-24..2025-12-27       = letztes Weihnachten | an Weihnachten
2026-11-25..2026-11-28T18:30 = in den letzten drei Tagen
2026-03-01..2026-11-28T18:30 = seit März
2023-11-28..2026-11-28T18:30 = seit drei Jahren
..2023-01-01                 = vor 2023
2021-01-01..2026-11-28T18:30 = nach 2020
2026-05-01..2026-08-01       = zwischen Mai und Juli | von Mai bis Juli
2025-03-01..2025-04-01       = im März letzten Jahres
2024-01-01..2025-01-01       = Wo habe ich 2024 gewohnt? | Ich bin 2024 umgezogen
2024-01-01..2025-01-01       = Was war 2024? | Wer hat 2024 gewonnen?
2024-01-01..2024-05-01       = Anfang 2024 | am Anfang des Jahres 2024 | zu Beginn des Jahres 2024
2025-09-01..2026-01-01       = Ende letzten Jahres
2026-03-11..2026-03-22       = Mitte März
2026-03-21..2026-04-01       = Ende März | in der letzten Woche im März
2026-05-01..2026-06-01       = vor einem halben Jahr
2026-11-09..2026-11-16       = vor vierzehn Tagen | vor 14 Tagen
2026-05-01..2026-05-02       = am ersten Mai
2026-05-03..2026-05-10       = zwischen dem 3. und dem 9. Mai | vom 3. bis zum 9. Mai
2024-05-31..2024-06-01       = am einunddreißigsten Mai 2024
2026-04-03..2026-04-07       = zu Ostern | letzte Ostern
2025-05-01..2025-06-01       = vor anderthalb Jahren | vor eineinhalb Jahren
2026-05-28..2026-11-28T18:30 = seit einem halben Jahr | im letzten halben Jahr
2026-11-28T17:45..2026-11-28T18:15 = vor einer halben Stunde
2026-11-23..2026-11-24       = Was habe ich am 23.11. gemacht? | am 23.11.
2025-12-03..2025-12-04       = Was war am 3.12.?
2026-11-23..2026-11-28T18:30 = seit dem 23.11.
2026-11-23..2026-11-26       = zwischen dem 23.11. und dem 25.11. | vom 23.11. bis 25.11.
2026-10-29..2026-11-28T18:30 = Was habe ich neulich gekauft? | Was las ich in letzter Zeit? | vor kurzem | kürzlich
..2026-11-28T18:30           = Wo habe ich früher gewohnt? | Wo habe ich vorher gewohnt? | Wo wohnte ich damals?
..2026-11-28T18:30           = Was ist meine frühere Adresse? | Wer war mein ehemaliger Chef? | meine vorige Wohnung
..2026-11-28T18:30           = Was war meine alte Telefonnummer? | Kannst du mir sagen, wo ich früher wohnte?
"""
SPANISH = """
2026-11-27..2026-11-28       = ¿Qué hice ayer? | ayer
2026-11-26..2026-11-27       = anteayer | antes de ayer | hace dos días
2026-11-25..2026-11-26       = hace tres días | Hace 3 dias
2026-11-29..2026-11-30       = ¿Qué tengo mañana?
2026-11-30..2026-12-01       = pasado mañana | el próximo lunes
2026-11-28T04:00..2026-11-28T12:00 = esta mañana
2026-11-27T18:00..2026-11-28T06:00 = anoche | la noche pasada
2026-11-09..2026-11-16       = la semana antepasada
2026-11-16..2026-11-23       = la semana pasada | hace una semana
2026-11-30..2026-12-07       = la semana que viene | la próxima semana
2026-10-01..2026-11-01       = el mes pasado | en octubre | el pasado octubre
2025-01-01..2026-01-01       = el año pasado | hace un año | en 2025 | en el año 2025
2026-11-23..2026-11-24       = el lunes pasado | el pasado lunes | el lunes
2026-03-01..2026-04-01       = ¿Dónde vivía en marzo? | marzo de 2026
2024-03-01..2024-04-01       = en marzo de 2024
2026-05-03..2026-05-04       = el 3 de mayo | el 3 de mayo de 2026
2026-06-01..2026-09-01       = el verano pasado | en el verano de 2026
2026-11-25..2026-11-28T18:30 = los últimos tres días | en los últimos 3 días
2026-03-01..2026-11-28T18:30 = desde marzo
2023-01-01..2026-11-28T18:30 = desde hace tres años
..2023-01-01                 = antes de 2023
2021-01-01..2026-11-28T18:30 = después de 2020
2026-05-01..2026-08-01       = entre mayo y julio | de mayo a julio
2025-12-24..2025-12-27       = la navidad pasada
2026-03-01..2026-03-11       = a principios de marzo | a comienzos del mes de marzo
2024-03-11..2024-03-22       = a mediados de marzo de 2024
2026-03-21..2026-04-01       = a finales de marzo | la última semana de marzo
2025-01-01..2025-05-01       = a principios del año pasado
2026-05-01..2026-06-01       = hace medio año
2026-11-09..2026-11-16       = hace quince días | hace una quincena
2026-05-03..2026-05-10       = del 3 al 9 de mayo | entre el 3 y el 9 de mayo
2026-05-01..2026-05-02       = el primero de mayo | el uno de mayo de 2026
2026-04-03..2026-04-07       = en Semana Santa | la Pascua pasada
2025-05-01..2025-06-01       = hace un año y medio
2026-10-29..2026-11-28T18:30 = ¿Qué compré recientemente? | ¿Qué he leído últimamente?
..2026-11-28T18:30           = ¿Dónde vivía antes? | ¿Dónde trabajaba anteriormente? | ¿Dónde solía vivir?
..2026-11-28T18:30           = ¿Cuál era mi dirección anterior? | ¿Cuál era mi antiguo número? | en el pasado
2026-11-21..2026-11-23       = el fin de semana pasado
"""
FRENCH = """
2026-11-27..2026-11-28       = Qu'ai-je fait hier ? | hier
2026-11-26..2026-11-27       = avant-hier | il y a deux jours
2026-11-28..2026-11-29       = aujourd'hui | aujourd’hui
2026-11-29..2026-11-30       = demain
2026-11-28T04:00..2026-11-28T12:00 = ce matin
2026-11-28T12:00..2026-11-28T18:00 = cet après-midi
2026-11-27T17:00..2026-11-28 = hier soir
2026-11-09..2026-11-16       = l'avant-dernière semaine
2026-11-16..2026-11-23       = la semaine dernière | la semaine passée | il y a une semaine
2026-11-30..2026-12-07       = la semaine prochaine
2026-10-01..2026-11-01       = le mois dernier | en octobre | au mois d'octobre
2025-01-01..2026-01-01       = l'année dernière | l'an dernier | il y a un an | en 2025
2026-11-23..2026-11-24       = lundi dernier
2026-03-01..2026-04-01       = Où habitais-je en mars ? | mars 2026
2024-03-01..2024-04-01       = en mars 2024
2026-05-03..2026-05-04       = le 3 mai | le 3 mai 2026
2026-05-01..2026-05-02       = le 1er mai
2026-06-01..2026-09-01       = l'été dernier | cet été | en été | l'été 2026
2026-11-25..2026-11-28T18:30 = ces trois derniers jours | les 3 derniers jours
2026-03-01..2026-11-28T18:30 = depuis mars
2023-11-28..2026-11-28T18:30 = depuis trois ans
..2023-01-01                 = avant 2023
2021-01-01..2026-11-28T18:30 = après 2020
2026-05-01..2026-08-01       = entre mai et juillet | de mai à juillet
2025-12-24..2025-12-27       = à Noël
2026-03-01..2026-03-11       = début mars | au début du mois de mars | la première semaine de mars
2026-03-11..2026-03-22       = mi-mars
2024-01-01..2024-05-01       = début 2024 | au début de 2024 | au début de l'année 2024
2025-09-01..2026-01-01       = fin 2025 | à la fin de l'année dernière
2025-05-01..2025-06-01       = il y a un an et demi
2026-11-09..2026-11-16       = il y a quinze jours | il y a une quinzaine
2026-05-03..2026-05-10       = du 3 au 9 mai | entre le 3 et le 9 mai
2026-05-01..2026-05-02       = le premier mai | le premier mai 2026
2026-04-03..2026-04-07       = à Pâques
2026-11-28T17:45..2026-11-28T18:15 = il y a une demi-heure
2026-11-23..2026-11-24       = Qu'ai-je fait lundi ? | lundi
2026-05-03..2026-05-04       = lundi 3 mai
2026-10-29..2026-11-28T18:30 = Qu'ai-je acheté récemment ? | ces derniers temps
..2026-11-28T18:30           = Où habitais-je avant ? | Où ai-je habité auparavant ? | mon adresse d'avant
..2026-11-28T18:30           = Quel était mon ancien numéro ? | mon emploi précédent | Où vivais-je autrefois ?
"""
PORTUGUESE = """
2026-11-27..2026-11-28       = O que fiz ontem? | ontem
2026-11-26..2026-11-27       = anteontem | há dois dias | dois dias atrás
2026-11-29..2026-11-30       = amanhã
2026-11-30..2026-12-01       = depois de amanhã
2026-11-28T04:00..2026-11-28T12:00 = esta manhã | hoje de manhã
2026-11-27T17:00..2026-11-28 = ontem à noite
2026-11-09..2026-11-16       = na semana retrasada
2026-11-16..2026-11-23       = na semana passada | há uma semana
2026-11-30..2026-12-07       = na próxima semana | a semana que vem
2026-10-01..2026-11-01       = no mês passado | em outubro
2025-01-01..2026-01-01       = no ano passado | há um ano | em 2025
2026-11-23..2026-11-24       = na segunda-feira | segunda-feira passada | na segunda passada
2026-03-01..2026-04-01       = Onde eu morava em março? | março de 2026
2024-03-01..2024-04-01       = em março de 2024
2026-05-03..2026-05-04       = no dia 3 de maio | 3 de maio de 2026
2026-06-01..2026-09-01       = no verão passado | no verão de 2026
2026-11-25..2026-11-28T18:30 = nos últimos três dias
2026-03-01..2026-11-28T18:30 = desde março
..2023-01-01                 = antes de 2023
2026-05-01..2026-08-01       = entre maio e julho | de maio a julho
2026-03-01..2026-03-11       = no início de março | no começo de março
2026-03-11..2026-03-22       = em meados de março
2024-09-01..2025-01-01       = no final de 2024 | no fim de 2024
2025-09-01..2026-01-01       = no fim do ano passado
2026-05-01..2026-06-01       = há meio ano
2026-11-09..2026-11-16       = há quinze dias | quinze dias atrás
2026-05-03..2026-05-10       = de 3 a 9 de maio | do dia 3 ao dia 9 de maio
2026-05-01..2026-05-02       = no primeiro de maio | primeiro de maio de 2026 | em 1º de maio
2026-04-03..2026-04-07       = na Páscoa
2025-05-01..2025-06-01       = há um ano e meio
2026-10-29..2026-11-28T18:30 = O que comprei recentemente? | ultimamente
..2026-11-28T18:30           = Onde morava antes? | Onde eu morava antigamente? | Onde costumava morar?
..2026-11-28T18:30           = Qual era o meu antigo número? | o meu emprego anterior | no passado
2026-11-21..2026-11-23       = no fim de semana passado
"""
LOOK_ALIKES = """
May I ask you something? | may be | I may go | It may rain | Does May like tea? | Since when do I know May?
We march every week | march 3 miles | We march 3 miles in 5 minutes | the march of time | on the march
between 3 and 9 people | from 3 to May | 2024-13 | call 2024-03-x | 14/2024 | in '24 | el mar 3 | rock'24
May the first be a holiday? | the first of all | my first May in Lisbon | the first May | how may the first of us come
one second please | wait a second | the second one | Was it the second? | na segunda vez | a segunda opção
in 5 minutes | Can I cook it in two days? | I can do it in a week | in zwei Tagen | en dos días | em dois dias
What is my last name? | the last time | my last week at Acme | Who was last? | last but not least | my last day
the last week of school | the next door | next to me | this time | these days | the other day | one day
What do I do on weekends? | los fines de semana
every Monday | on Mondays | weekends | montags | los lunes | le lundi | a day in the life | day by day | daily
hurt in the fall from his bike | I fall asleep | Do I have a spring in my step? | the fall of Rome
April's birthday is when? | Does April work in April's office?
j'ai été malade | où ai-je été ? | Guten Morgen | am Morgen | jeden Morgen | por la mañana | de la mañana
half the years ago | years ago | long ago | a while ago | ago
room 2019 | order 2024 | 2024 | 1999 people | call 555 2020 | in 2500 | the number 12 | 3/5/2026 | 1.2.3 | v2.0.24
What should I do before my flight? | before lunch | What did I do the day before?
the week before | What must I do before? | Kann ich früher kommen?
the previous message | What was my previous question? | the former or the latter | in the past tense
I am used to it | I'm used to tea | What am I used to eating? | Have I been used to it? | What do I use to paint?
What command did I use to restart it? | the command I used to start it | Which tool is used to build?
as previously discussed
How old am I? | Where does my old friend live? | Ich muss vorher essen | Was soll ich vorher essen?
Was habe ich am Tag vorher gemacht? | eine Stunde früher | früher oder später | in früher Kindheit | am früheren Abend
antes de comer | antes do almoço | ¿Qué debo hacer antes? | cuanto antes | el día anterior | la pregunta anterior
anterior a la boda | un edificio antiguo | o dia anterior | a mensagem anterior | Comment former une équipe ?
avant le repas | en avant | comme avant | la semaine d'avant | le jour précédent | sans précédent | un ancien combattant
Que fais-je le lundi ? | tous les lundis | un lundi | on 3.10. | Does it run on 3.10. | am 45.13. | Was kostet 12.50.
on 31 February | 30 February 2024 | 2023-02-29 | 2026-13-01 | on 45 May
How early may I come? | the end of the march | at the end of the day | the last week of 2024
la última semana de 2024 | last quarter of 2024 | Ich habe 2024 Euro | In Zimmer 2024 | ¿Cómo fue mi 2024?
Ich habe 2000 € gespart | Habe ich 2000 Kalorien gegessen? | Ich habe $2000 gespart | in 2000 €
la final 2024 | late again | in the 90s
no natal | em Natal | Mars is a planet | eine Tag | tag this | son | set | the sun | mar
at 3 pm | from here to there | between you and me | before I go | since you asked | after all | until then
What is my dog's name? | Where do I live? | Wo wohne ich? | ¿Dónde vivo? | Où est-ce que j'habite ? | Onde moro?
last. Week one begins | Who won last? Monday is free | in. March on! | the year | week | months | Tage | días
She said in 1999 that in 2003 the war, which began in 2011, would end | ?! | 3 | ️ |
"""


@pytest.mark.parametrize(
    ("query", "window"), [pair for table in (ENGLISH, GERMAN, SPANISH, FRENCH, PORTUGUESE) for pair in cases(table)]
)
def test_a_query_names_a_window(query: str, window: str) -> None:
    """Seen on Saturday, 28 November 2026, at 18:30 UTC."""
    assert shown(window_of(query, NOW, "UTC")) == window


@pytest.mark.parametrize("query", [each.strip() for line in LOOK_ALIKES.splitlines() for each in line.split("|")])
def test_a_look_alike_names_none(query: str) -> None:
    """Words that look like times, times that are not sure, and days that do not exist."""
    assert window_of(query, NOW, "UTC") is None


@pytest.mark.parametrize(
    ("now", "zone", "query", "window"),
    [
        # At the same moment it is another day elsewhere.
        ("2026-11-28T23:30+00:00", "Asia/Tokyo", "yesterday", "2026-11-28..2026-11-29"),
        ("2026-11-28T03:30+00:00", "America/New_York", "yesterday", "2026-11-26..2026-11-27"),
        ("2026-11-28T23:30+00:00", "Pacific/Kiritimati", "today", "2026-11-29..2026-11-30"),
        # The clocks change: a day of 23 hours, a day of 25, a week around one.
        ("2026-03-30T12:00+02:00", "Europe/Berlin", "yesterday", "2026-03-29..2026-03-30"),
        ("2026-10-26T12:00+01:00", "Europe/Berlin", "yesterday", "2026-10-25..2026-10-26"),
        ("2026-03-30T12:00+02:00", "Europe/Berlin", "last week", "2026-03-23..2026-03-30"),
        # Hours go on: 03:10 is ten minutes after 01:59.
        ("2027-03-28T01:10+00:00", "Europe/Berlin", "in the last hour", "2027-03-28T01:10..2027-03-28T03:10"),
        ("2027-03-28T01:20+00:00", "Europe/Berlin", "half an hour ago", "2027-03-28T01:35..2027-03-28T03:05"),
        ("2027-10-31T02:30+00:00", "Europe/Berlin", "three hours ago", "2027-10-31..2027-10-31T02:00"),
        # Year ends, and weeks over them.
        ("2027-01-01T12:00+00:00", "UTC", "yesterday", "2026-12-31..2027-01-01"),
        ("2027-01-01T12:00+00:00", "UTC", "last week", "2026-12-21..2026-12-28"),
        ("2027-01-01T12:00+00:00", "UTC", "this week", "2026-12-28..2027-01-04"),
        ("2027-01-01T12:00+00:00", "UTC", "last month", "2026-12-01..2027-01-01"),
        ("2027-01-01T12:00+00:00", "UTC", "last quarter", "2026-10-01..2027-01-01"),
        ("2027-01-01T00:00+00:00", "UTC", "in January", "2027-01-01..2027-02-01"),
        ("2027-01-15T12:00+00:00", "UTC", "last winter", "2025-12-01..2026-03-01"),
        ("2027-01-15T12:00+00:00", "UTC", "this winter", "2026-12-01..2027-03-01"),
        # A Monday, a Sunday.
        ("2026-11-23T00:00+00:00", "UTC", "last week", "2026-11-16..2026-11-23"),
        ("2026-11-22T23:59+00:00", "UTC", "last week", "2026-11-09..2026-11-16"),
        ("2026-11-22T12:00+00:00", "UTC", "last weekend", "2026-11-14..2026-11-16"),
        ("2026-11-24T12:00+00:00", "UTC", "last weekend", "2026-11-21..2026-11-23"),
        ("2026-11-23T12:00+00:00", "UTC", "on Monday", "2026-11-16..2026-11-17"),
        # Leap days, and months of other lengths.
        ("2024-03-01T12:00+00:00", "UTC", "yesterday", "2024-02-29..2024-03-01"),
        ("2026-11-28T12:00+00:00", "UTC", "on 29 February", "2024-02-29..2024-03-01"),
        ("2028-02-28T12:00+00:00", "UTC", "on 29 February", "2024-02-29..2024-03-01"),
        ("2028-02-29T12:00+00:00", "UTC", "on 29 February", "2028-02-29..2028-03-01"),
        ("2026-03-31T12:00+00:00", "UTC", "the last month", "2026-02-01..2026-03-01"),
        ("2026-03-31T12:00+00:00", "UTC", "in the last two months", "2026-01-31..2026-03-31T12:00"),
        # A part of a month or year that has not begun is that of the last one.
        ("2026-11-03T12:00+00:00", "UTC", "late November", "2025-11-21..2025-12-01"),
        ("2026-11-03T12:00+00:00", "UTC", "early November", "2026-11-01..2026-11-11"),
        ("2026-11-03T12:00+00:00", "UTC", "at the end of February 2024", "2024-02-20..2024-03-01"),
        # South of the equator summer begins in December.
        ("2026-11-28T12:00-03:00", "America/Sao_Paulo", "no verão passado", "2025-12-01..2026-03-01"),
        ("2026-11-28T12:00+11:00", "Australia/Sydney", "last winter", "2026-06-01..2026-09-01"),
        # The ends of the calendar.
        ("0001-01-02T12:00+00:00", "UTC", "last month", "none"),
        ("9999-12-31T12:00+00:00", "UTC", "next year", "none"),
    ],
)
def test_a_calendar_and_a_zone(now: str, zone: str, query: str, window: str) -> None:
    """The day, week and season are those of the user's zone."""
    assert shown(window_of(query, datetime.fromisoformat(now), zone), zone) == window


@pytest.mark.parametrize(
    ("now", "zone", "query", "hours"),
    [
        ("2026-10-25T01:30+00:00", "Europe/Berlin", "in the last hour", 1),
        ("2026-10-25T01:30+00:00", "Europe/Berlin", "since today", 3.5),
        ("2026-11-01T05:30+00:00", "America/Havana", "since today", 1.5),
    ],
)
def test_a_window_ends_now_in_the_hour_that_comes_twice(now: str, zone: str, query: str, hours: float) -> None:
    """As the clocks go back, it is half past for the second time; in Havana the day begins twice."""
    moment = datetime.fromisoformat(now)
    window = window_of(query, moment, zone)
    assert window is not None
    assert (window.end - moment.timestamp(), window.end - window.start) == (0, hours * 3600)


def test_a_window_has_the_length_of_its_day() -> None:
    """In seconds, when the clocks change."""
    for now, hours in (("2026-03-30T12:00+02:00", 23), ("2026-10-26T12:00+01:00", 25)):
        window = window_of("yesterday", datetime.fromisoformat(now), "Europe/Berlin")
        assert window is not None
        assert window.end - window.start == hours * 3600


def test_without_a_zone_that_of_now_counts() -> None:
    """The offset of the caller's moment says which day it is."""
    window = window_of("today", datetime.fromisoformat("2026-11-28T23:30-05:00"))
    assert shown(window, "Etc/GMT+5") == "2026-11-28..2026-11-29"


@pytest.mark.parametrize(
    ("query", "rest"),
    [
        ("Where did I live in March?", "Where did I live ?"),
        ("Last week, what did I eat?", ", what did I eat?"),
        ("in May 2024", ""),
        ("What did I do on Tuesday last week?", "What did I do ?"),
        ("Wo war ich vor drei Tagen mit Ana?", "Wo war ich mit Ana?"),
    ],
)
def test_the_rest_is_without_the_words_of_the_window(query: str, rest: str) -> None:
    """They say when, and nothing about the memories."""
    window = window_of(query, NOW, "UTC")
    assert window is not None
    assert window.rest == rest


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("What do I have on Friday?", ["Friday"]),
        ("Was war im Mai 2024?", ["Mai", "2024"]),
        ("on 3 May", ["3", "May"]),
        ("in summer", ["summer"]),
        # "We march every week" names no month.
        ("in March", []),
        ("last week", []),
        ("last March", []),
        ("since May 2024", []),
        # A text of October names 2024, too.
        ("early 2024", []),
    ],
)
def test_names_by_which_a_text_may_name_the_window(query: str, names: list[str]) -> None:
    """Words that mean the same whenever they are said."""
    window = window_of(query, NOW, "UTC")
    assert window is not None
    assert list(window.names) == names


@pytest.mark.parametrize(
    ("query", "is_present"),
    [
        ("today", True),
        ("this week", True),
        ("heute Morgen", True),
        ("in November", False),
        ("since May", False),
        ("early this year", False),
    ],
)
def test_the_present_is_told_apart(query: str, is_present: bool) -> None:
    """What was true earlier today is over; what was true since May is asked for."""
    window = window_of(query, NOW, "UTC")
    assert window is not None
    assert window.is_present is is_present


def test_a_long_text_asks_for_no_past() -> None:
    """It tells something."""
    for text in ("Where did I live before?", "What did I buy recently?"):
        assert window_of(f"{'Tell me more. ' * 10}{text}", NOW, "UTC") is not None
        assert window_of(f"{'Tell me more. ' * 12}{text}", NOW, "UTC") is None


WORDS = (
    "in on last the march may 3 2024 week ago since before between and de la el il y a hace vor jahr . ? 1er "
    "03.05.2024 early end of half ende"
)


@settings(max_examples=50)
@given(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join))
def test_any_words_give_a_window_or_none(query: str) -> None:
    """No query raises, and a window begins before it ends."""
    window = window_of(query, NOW, "Europe/Berlin")
    assert window is None or window.start < window.end


@pytest.mark.parametrize("pump", ["in ", "last ", "since ", "3 ", "03.05.2024 ", "from may to ", "vor drei ", "de a "])
def test_a_long_query_takes_linear_time(pump: str) -> None:
    """Whatever it is full of."""

    def seconds(count: int) -> float:
        query = pump * (count // len(pump))
        started_at = time.process_time()
        window_of(query, NOW, "UTC")
        return time.process_time() - started_at

    seconds(100)
    # The least of some runs, because a busy machine delays single ones.
    least, most = (min(seconds(count) for _ in range(3)) for count in (4_000, 16_000))
    assert most < 8 * least + 0.05
