"""The words for times in each language: each line a class of words, its value where it has one, and the words.

A semicolon leads to the next value. An entry may have several words. All are lower case and without accents, and an
apostrophe parts words.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["TABLES"]

_ENGLISH = """
day 0: today
day -1: yesterday
day -2: day before yesterday
day 1: tomorrow
day 2: day after tomorrow
evening -1: last night
evening 0: tonight
part morning: morning
part afternoon: afternoon
part evening: evening, night
dir -1: last, previous
dir 0: this, current
dir 1: next, coming, upcoming
past: past
dir_after -2: before last
dir_after 1: after next
unit minute: minute, minutes
unit hour: hour, hours
unit day: day, days
unit week: week, weeks
unit weekend: weekend
unit month: month, months
unit quarter: quarter, quarters
unit year: year, years
weeks 2: a fortnight, fortnight
weeks 4: two fortnights
n 0: a few, few, several
n 1: a, an, one; two, a couple of, couple of, a couple; three; four; five; six; seven; eight; nine; ten; eleven; twelve;
 thirteen; fourteen; fifteen; sixteen; seventeen; eighteen; nineteen; twenty
n 30: thirty
months 6: half a year, half year
months 18: a year and a half, one and a half years
minutes 30: half an hour, half hour
portion 0: early, early in, beginning of, start of
portion 1: mid, middle of
portion 2: late, late in, end of
days_of 0: first week of, first week in, first days of
days_of 2: last week of, last week in, last days of
ago_after: ago
recent: recently, lately, of late
former: previously, formerly, back then, previous, my former, our former, your former, his former, her former,
 their former, s former, used to, use to, was my old, were my old, was our old, were our old
former_end: before, in the past
weekday 0: monday; tuesday; wednesday; thursday; friday; saturday; sunday
month 1: january, jan; february, feb; march, mar; april, apr; may; june, jun; july, jul; august, aug;
 september, sept, sep; october, oct; november, nov; december, dec
ordinal 1: first; second; third; fourth; fifth; sixth; seventh; eighth; ninth; tenth; eleventh; twelfth; thirteenth;
 fourteenth; fifteenth; sixteenth; seventeenth; eighteenth; nineteenth; twentieth; twenty first; twenty second;
 twenty third; twenty fourth; twenty fifth; twenty sixth; twenty seventh; twenty eighth; twenty ninth; thirtieth;
 thirty first
season spring: spring
season summer: summer
season autumn: autumn, fall
season winter: winter
season christmas: christmas, xmas
season easter: easter
in: in, during, in the year, in the month of, back in
at: at, over
on: on
since: since, ever since
before: before, prior to
after: after
until: until, till, up to
between: between
from: from
and: and
to: to, until, till
of: of
the: the
own: my, your, his, her, our, their, its
asks: do, did, done, doing, happen, happened, happens, say, said, tell, told, talk, talked, discuss, discussed, mention,
 mentioned, go, went, been, plan, planned, plans, anything, something, everything, remember, up, happening, ask, asked
"""

_GERMAN = """
day 0: heute
day -1: gestern
day -2: vorgestern
day 1: morgen
day 2: ubermorgen
evening -1: letzte nacht
part morning: morgen, fruh, vormittag
part afternoon: nachmittag
part evening: abend, nacht
dir -2: vorletzte, vorletzten, vorletztes, vorletzter, vorletztem
dir -1: letzte, letzten, letztes, letzter, letztem, vorige, vorigen, voriges, voriger, vorigem, vergangene, vergangenen,
 vergangenes, vergangener, vergangenem
dir 0: diese, diesen, dieses, dieser, diesem
dir 1: nachste, nachsten, nachstes, nachster, nachstem, kommende, kommenden, kommendes, kommender, kommendem
unit minute: minute, minuten
unit hour: stunde, stunden
unit day: tag, tage, tagen
unit week: woche, wochen
unit weekend: wochenende
unit month: monat, monate, monaten, monats
unit quarter: quartal, quartals
unit year: jahr, jahre, jahren, jahres
weeks 2: vierzehn tagen, vierzehn tage, 14 tagen, 14 tage
n 0: ein paar, paar, einigen, einige, mehreren, wenigen
n 1: einem, einer, eine, ein; zwei; drei; vier; funf; sechs; sieben; acht; neun; zehn; elf; zwolf;
 dreizehn; vierzehn; funfzehn; sechzehn; siebzehn; achtzehn; neunzehn; zwanzig
n 30: dreissig, dreißig
months 6: einem halben jahr, halben jahr, halbe jahr, halbes jahr
months 18: anderthalb jahren, eineinhalb jahren
minutes 30: einer halben stunde, halben stunde, halbe stunde
portion 0: anfang, beginn
portion 1: mitte
portion 2: ende
days_of 0: erste woche im, ersten woche im, ersten tage im, ersten tagen im
days_of 2: letzte woche im, letzten woche im, letzten tage im, letzten tagen im
ago_before: vor
of_year: ich, ich bin, du, wir, ihr, habe, hast, hat, haben, hatte, hattest, hatten, warst, waren, wurde, wurden,
 was war, was ist, mir, mich, uns, geschah, passierte, gab es, alles, sich
recent: neulich, kurzlich, vor kurzem, in letzter zeit
former: fruher, damals, vorher, zuvor, ehemals, in der vergangenheit, war meine alte, war mein alter, war mein altes,
 lautete meine alte, fruhere, fruheren, fruherer, fruheres, fruherem, ehemalige, ehemaligen, ehemaliger, ehemaliges,
 ehemaligem, vorherige, vorherigen, vorheriger, vorheriges, vorherigem, vorige, vorigen, voriger, voriges, vorigem
weekday 0: montag; dienstag; mittwoch; donnerstag; freitag; samstag, sonnabend; sonntag
month 1: januar, janner; februar, feber; marz; april; mai; juni; juli; august; september; oktober; november; dezember
day_number 1: ersten, erster; zweiten; dritten; vierten; funften; sechsten; siebten, siebenten; achten; neunten;
 zehnten; elften; zwolften; dreizehnten; vierzehnten; funfzehnten; sechzehnten; siebzehnten; achtzehnten; neunzehnten
day_number 20: zwanzigsten; einundzwanzigsten; zweiundzwanzigsten; dreiundzwanzigsten; vierundzwanzigsten;
 funfundzwanzigsten; sechsundzwanzigsten; siebenundzwanzigsten; achtundzwanzigsten; neunundzwanzigsten;
 dreissigsten, dreißigsten; einunddreissigsten, einunddreißigsten
season spring: fruhling, fruhjahr
season summer: sommer
season autumn: herbst
season winter: winter
season christmas: weihnachten
season easter: ostern
in: in, im, wahrend, im jahr, im jahre, im monat
at: an, zu, uber
on: am
since: seit
before: vor
after: nach
until: bis, bis zum
between: zwischen
from: von, vom
and: und
to: bis, bis zum
of: des
the: dem, der, den, die, das
own: mein, meine, meiner, meinem, meinen, meines, deine, deiner, deinem, deinen, seine, seiner, seinem, seinen, ihre,
 ihrer, ihrem, ihren, unsere, unserer, unserem, unseren
asks: gemacht, getan, passiert, gesagt, erzahlt, gesprochen, besprochen, geredet, los, gab, unternommen, gewesen,
 erwahnt, geplant, vor, alles
"""

_SPANISH = """
day 0: hoy
day -1: ayer
day -2: anteayer, antier, antes de ayer
day 1: manana
day 2: pasado manana
evening -1: anoche, la noche pasada
part morning: por la manana, manana
part afternoon: por la tarde, tarde
part evening: por la noche, noche
dir -1: pasado, pasada, ultimo, ultima
dir 0: este, esta, estos, estas
dir 1: proximo, proxima, proximos, proximas
past: ultimos, ultimas, pasados, pasadas
dir_after -2: antepasado, antepasada
dir_after -1: pasado, pasada
dir_after 1: proximo, proxima, que viene, que vienen
unit minute: minuto, minutos
unit hour: hora, horas
unit day: dia, dias
unit week: semana, semanas
unit weekend: fin de semana
unit month: mes, meses
unit quarter: trimestre, trimestres
unit year: ano, anos
weeks 2: quince dias, 15 dias, una quincena
n 0: unos, unas, algunos, algunas, varios, varias, unos cuantos, unas cuantas
n 1: un, una; dos, un par de; tres; cuatro; cinco; seis; siete; ocho; nueve; diez; once; doce;
 trece; catorce; quince; dieciseis; diecisiete; dieciocho; diecinueve; veinte
n 30: treinta
months 6: medio ano
months 18: un ano y medio, ano y medio
minutes 30: media hora
portion 0: a principios, principios, a comienzos, comienzos, principio, a inicios, inicios, inicio
portion 1: a mediados, mediados
portion 2: a finales, finales, a fines, final de, final del
days_of 0: primera semana, primeros dias
days_of 2: ultima semana, ultimos dias
ago_before: hace
recent: recientemente, ultimamente
former: anteriormente, antiguamente, previamente, anterior, anteriores, solia, solias, soliamos, mi antiguo, mi antigua,
 mis antiguos, mis antiguas, nuestro antiguo, nuestra antigua
former_end: antes, en el pasado
weekday 0: lunes; martes; miercoles; jueves; viernes; sabado; domingo
month 1: enero; febrero; marzo; abril; mayo; junio; julio; agosto; septiembre, setiembre; octubre; noviembre;
 diciembre
day_number 1: primero, uno
season spring: primavera
season summer: verano
season autumn: otono
season winter: invierno
season christmas: navidad, navidades
season easter: pascua, semana santa
in: en, durante, en el ano, en el mes de
on: el, el dia
since: desde
before: antes de, antes del
after: despues de, despues del
until: hasta
between: entre
from: de, del, desde
and: y, e
to: a, al, hasta
of: de, del, del mes de
the: el, la, los, las
own: mi, mis, tu, tus, su, sus, nuestra, nuestro
asks: hice, hizo, hicimos, hecho, paso, pasado, dije, dijo, dijimos, hablamos, hable, conte, mencione, hacer, todo
"""

_FRENCH = """
day 0: aujourd hui
day -1: hier
day -2: avant hier
day 1: demain
day 2: apres demain
evening -1: la nuit derniere
part morning: matin
part afternoon: apres midi
part evening: soir, nuit
dir -2: avant dernier, avant derniere
dir 0: ce, cet, cette, ces
dir 1: prochain, prochaine, prochains, prochaines
past: derniers, dernieres
dir_after -1: dernier, derniere, passe, passee
dir_after 1: prochain, prochaine
unit minute: minute, minutes
unit hour: heure, heures
unit day: jour, jours
unit week: semaine, semaines
unit weekend: week end, weekend
unit month: mois
unit quarter: trimestre, trimestres
unit year: an, ans, annee, annees
weeks 2: quinze jours, 15 jours, une quinzaine
n 0: quelques, plusieurs
n 1: un, une; deux; trois; quatre; cinq; six; sept; huit; neuf; dix; onze; douze;
 treize; quatorze; quinze; seize; dix sept; dix huit; dix neuf; vingt
n 30: trente
months 18: un an et demi
minutes 30: une demi heure, demi heure
portion 0: debut
portion 1: milieu
portion 2: fin
days_of 0: premiere semaine, premiers jours
days_of 1: mi
days_of 2: derniere semaine, derniers jours
ago_before: il y a, y a
recent: recemment, dernierement, ces derniers temps
former: auparavant, precedemment, anterieurement, autrefois, jadis, precedent, precedente, precedents, precedentes,
 mon ancien, mon ancienne, mes anciens, mes anciennes, notre ancien, notre ancienne
former_end: avant, d avant, par le passe, dans le passe
bare_weekday 0: lundi; mardi; mercredi; jeudi; vendredi; samedi; dimanche
weekday 0: lundi; mardi; mercredi; jeudi; vendredi; samedi; dimanche
month 1: janvier; fevrier; mars; avril; mai; juin; juillet; aout; septembre; octobre; novembre; decembre
day_number 1: premier
season spring: printemps
season summer: ete
season autumn: automne
season winter: hiver
season christmas: noel
season easter: paques
in: en, au, pendant, durant, au mois de, au mois d, en l an, dans
at: a
since: depuis
before: avant, avant le
after: apres
until: jusqu a, jusqu en, jusqu au
between: entre
from: de, du
and: et
to: a, au
of: de, d, du, du mois de, du mois d
the: le, la, l, les
own: mon, ma, mes, ton, ta, tes, son, sa, ses, notre, votre, leur
asks: fait, faire, passe, dit, parle, raconte, discute, mentionne, alle, allee, tout
"""

_PORTUGUESE = """
day 0: hoje
day -1: ontem
day -2: anteontem
day 1: amanha
day 2: depois de amanha
part morning: de manha, manha
part afternoon: a tarde, de tarde, tarde
part evening: a noite, de noite, noite
dir -1: passado, passada, ultimo, ultima
dir 0: este, esta, neste, nesta, esse, essa, nesse, nessa, deste, desta
dir 1: proximo, proxima, proximos, proximas
past: ultimos, ultimas
dir_after -2: retrasado, retrasada
dir_after -1: passado, passada
dir_after 1: que vem, proximo, proxima
unit minute: minuto, minutos
unit hour: hora, horas
unit day: dia, dias
unit week: semana, semanas
unit weekend: fim de semana
unit month: mes, meses
unit quarter: trimestre, trimestres
unit year: ano, anos
weeks 2: quinze dias, 15 dias, uma quinzena
n 0: alguns, algumas, uns, umas, varios, varias
n 1: um, uma; dois, duas; tres; quatro; cinco; seis; sete; oito; nove; dez; onze; doze;
 treze; quatorze, catorze; quinze; dezesseis, dezasseis; dezessete, dezassete; dezoito; dezenove, dezanove; vinte
n 30: trinta
months 6: meio ano
months 18: um ano e meio
minutes 30: meia hora
portion 0: inicio, comeco, principio, inicios, principios
portion 1: meados
portion 2: final de, final do, finais, fim, fins
days_of 0: primeira semana, primeiros dias
days_of 2: ultima semana, ultimos dias
ago_before: ha, faz
ago_after: atras
recent: recentemente, ultimamente
former: anteriormente, antigamente, previamente, anterior, anteriores, costumava, costumavamos, meu antigo,
 minha antiga, meus antigos, minhas antigas, nosso antigo, nossa antiga
former_end: antes, no passado
weekday 0: segunda feira; terca feira; quarta feira; quinta feira; sexta feira; sabado; domingo
short_weekday 0: segunda; terca; quarta; quinta; sexta
month 1: janeiro; fevereiro; marco; abril; maio; junho; julho; agosto; setembro; outubro; novembro; dezembro
day_number 1: primeiro
season spring: primavera
season summer: verao
season autumn: outono
season winter: inverno
season easter: pascoa
in: em, no, na, durante, durante o, durante a, no ano de, no mes de
on: no, na, no dia, em, dia
since: desde
before: antes de, antes do, antes da
after: depois de, depois do, depois da, apos
until: ate
between: entre
from: de, do, desde
and: e
to: a, ao, ate
of: de, do, da, do mes de
the: o, a, os, as, o dia, dia
own: meu, minha, meus, minhas, seu, sua, nosso, nossa
asks: fiz, fez, fizemos, feito, aconteceu, disse, falamos, falei, contei, mencionei, fazer, houve, tudo
"""

TABLES: Mapping[str, str] = {
    "en": _ENGLISH,
    "de": _GERMAN,
    "es": _SPANISH,
    "fr": _FRENCH,
    "pt": _PORTUGUESE,
}
"""By language."""
