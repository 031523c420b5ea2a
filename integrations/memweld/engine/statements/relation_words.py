"""Words of all languages around the values of relations: what is left out, and what may be no value."""

from __future__ import annotations

__all__ = [
    "ADVERBS",
    "BUTS",
    "DAYS",
    "DOUBTS",
    "FUNCTION_WORDS",
    "HEDGES",
    "LEADS",
    "MONTHS",
    "NO_EMPLOYERS",
    "NO_PLACES",
    "PARTICLES",
    "SINCE",
    "TIMES",
    "VEHICLES",
]

LEADS = """
    hi hello hey well so ok okay yes no oh please remember remember_that note_that fyi btw by_the_way just_so_you_know
    actually anyway sorry and but thanks because since
    hallo ja nein also bitte übrigens merk_dir merk_dir_dass und aber eigentlich nämlich
    hola sí bueno pues por_favor recuerda recuerda_que y pero en_realidad por_cierto
    bonjour salut oui non bon alors merci retiens_que souviens-toi_que et mais en_fait au_fait d'ailleurs
    olá oi sim não bem então obrigado obrigada lembra-te_que lembre-se_que e mas na_verdade a_propósito
    ciao sì allora grazie ricorda ricorda_che ricordati_che ma in_realtà a_proposito
    hoi nee nou dus bedankt onthoud onthoud_dat en maar eigenlijk trouwens
"""
"""Words before a statement that change nothing about it."""

ADVERBS = """
    now currently presently nowadays these_days at_the_moment at_present right_now recently finally officially just
    still again last_week last_month last_year yesterday today
    jetzt nun inzwischen mittlerweile derzeit zurzeit zur_zeit momentan im_moment aktuell gerade heute seit_kurzem
    neuerdings endlich immer_noch wieder kürzlich neulich vor_kurzem letzte_woche letzten_monat letztes_jahr gestern
    ahora actualmente hoy_en_día hoy últimamente de_momento por_fin todavía recientemente hace_poco la_semana_pasada
    el_mes_pasado el_año_pasado ayer
    maintenant actuellement désormais aujourd'hui en_ce_moment enfin toujours récemment la_semaine_dernière
    le_mois_dernier l'année_dernière hier à_présent
    agora atualmente hoje_em_dia hoje neste_momento finalmente ainda recentemente na_semana_passada no_mês_passado
    no_ano_passado ontem há_pouco
    ora adesso attualmente ormai oggi al_momento ancora di_recente la_settimana_scorsa il_mese_scorso l'anno_scorso ieri
    nu tegenwoordig momenteel inmiddels op_dit_moment vandaag eindelijk nog_steeds weer onlangs vorige_week vorige_maand
    vorig_jaar gisteren
"""
"""Words that change nothing about a statement wherever they stand: *now*, *last week*."""

TIMES = """
    in on at ago since a an one two three four five six seven eight nine ten few couple of days day weeks week months
    month the
    im am vor seit einem einer einen ein eine zwei drei vier fünf sechs tagen tag wochen woche monaten monat
    en el hace desde un una dos tres cuatro cinco seis días día semanas semana meses mes de
    le il y a depuis deux trois quatre cinq six jours jour semaines semaine mois
    em há faz dois duas três seis dias dia mês
    nel da fa due tre quattro cinque sei giorni giorno settimane settimana mesi mese
    geleden sinds twee drie vier vijf zes dagen dag weken week maanden maand een
"""
"""Words of a time behind an event: *two weeks ago*. Years are none: who tells of them tells a story."""

DAYS = """
    monday tuesday wednesday thursday friday saturday sunday tonight
    montag dienstag mittwoch donnerstag freitag samstag sonnabend sonntag
"""
"""Days that are written with a capital: "Call me Monday"."""

HEDGES = """
    i_think i_guess i_suppose maybe perhaps probably not_sure i_believe kidding joking not_really
    glaube_ich glaub_ich denke_ich vielleicht wahrscheinlich creo quizá quizás tal_vez a_lo_mejor probablemente
    je_crois je_pense peut-être probablement acho talvez se_calhar provavelmente credo forse probabilmente
    denk_ik misschien waarschijnlijk dream dreamt dreamed pretend pretended pretending imagine imagined hypothetically
"""
"""Words that make a doubt of a statement, anywhere in its sentence."""

BUTS = """
    but or though although however except unless aber oder obwohl doch pero aunque sino mais ou mas ma però oppure
    maar of
"""
"""Words before what limits a statement or takes it back."""

DOUBTS = """
    no not nope never don't dont doesn't didn't didnt isn't wasn't aren't haven't hasn't false wrong untrue incorrect
    lie lies lied lying joke jokes joked kid wish was were said say says saying told tell wrote write quote quoted read
    only sometimes weekend weekends mondays part-time until till then back returned came left game story novel fiction
    character lol haha jk psych is_that translate sentence example made_up
    nein nicht nie kein keine keinen falsch gelogen lüge scherz spaß witz quatsch war waren sagte sagt schrieb nur bis
    zurück manchmal wochenende wochenenden teilzeit spiel übersetze übersetzen satz stimmt damals
    nunca tampoco falso mentira broma era estaba estuve fue dijo dice sólo solo hasta volví vuelto regresé juego a_veces
    frase traduce
    plaisante non pas jamais faux mensonge blague étais était dit écrit seulement jusqu'en jusque revenu revenue
    retourné jeu parfois phrase traduis
    não nem mentira brincadeira estava foi disse diz só até voltei jogo às_vezes traduz
    mai bugia scherzo scherzavo ero stavo ha_detto dice soltanto fino tornato tornata gioco a_volte traduci
    niet nooit geen leugen grapje was zei zegt alleen tot terug spel soms vertaal zin
"""
"""Words behind a statement that may take it back, limit it, or lay it in the mouth of another."""

SINCE = "since seit desde depuis sinds há hace"
"""Words before the beginning of what still is: "I live in Lisbon since 2019"."""

MONTHS = """
    january february march april may june july august september october november december
    januar februar märz mai juni juli oktober dezember
    enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre
    janvier février mars avril juin juillet août septembre octobre novembre décembre
    janeiro fevereiro março maio junho julho setembro outubro novembro dezembro
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    januari februari maart mei augustus
"""
"""The months of all languages."""

PARTICLES = """
    the of upon der die das den dem des van von zu zur el la los las del de le les du des d l sur o a os as do da dos
    das lo gli i il della dello het s
"""
"""Words without a capital that a proper name may have."""

FUNCTION_WORDS = """
    and or but at in on for with from to as while when if than hard und oder aber bei im für mit von wenn als y o u pero
    en con para por si cuando que un una et ou mais dans pour avec chez si quand une e ou mas em no na com per di da se
    quando uno bij met voor of en maar een ein eine the a an my mein meine mi mon ma meu minha mio mia mijn not nicht no
    non não pas niet también auch aussi também anche ook too also sometimes
"""
"""Words that make more of a description than the name of a profession."""

VEHICLES = "train bus car bike bicycle foot plane tram metro subway underground taxi boat ferry ship air sea"
"""Capitalised words that are no form of address: "I go by Train"."""

NO_PLACES = """
    linux windows mac macos ubuntu debian fedora android ios iphone python rust go golang java kotlin typescript
    javascript swift ruby php vim neovim emacs vscode vs visual postgres postgresql mysql sqlite mongodb aws azure gcp
    google kubernetes docker slack teams discord notion obsidian gmail outlook github gitlab chrome firefox safari
    chatgpt claude gemini openai anthropic premium pro plus team enterprise netflix spotify whatsapp telegram signal
    marketing sales finance engineering product design support hr operations legal management
    plan tier version department peace fear poverty hope harmony luxury exile silence isolation hiding pain danger sin
    love style
    krieg miete untermiete angst frieden ruhe armut scheidung trennung partnerschaft
"""
"""Capitalised words that are no place: "I moved to Linux", "Ich wohne in Untermiete"."""

NO_EMPLOYERS = """
    night day home free fun money myself peanuts dawn dusk noon lunch weekends
    nacht tag regen bedarf gelegenheit wind schnee hitze kälte musik kerzenlicht geld freunden spaß homeoffice
"""
"""Capitalised words that are no employer: "Ich arbeite bei Nacht"."""
