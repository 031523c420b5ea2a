"""Words of all languages around the values of relations: what is left out, and what may be no value."""

from __future__ import annotations

__all__ = [
    "ABBREVIATED_PLACES",
    "ADVERBS",
    "AREAS",
    "ASKING",
    "BUTS",
    "DAYS",
    "DOUBTS",
    "FRAMES",
    "FUNCTION_WORDS",
    "HEDGES",
    "JOKES",
    "LEADS",
    "MONTHS",
    "NO_EMPLOYERS",
    "NO_FORMS_OF_ADDRESS",
    "NO_JOBS",
    "NO_PLACES",
    "PARTICLES",
    "REMARKS",
    "SINCE",
    "STREETS",
    "TIMES",
    "TODAY",
    "VEHICLES",
]

LEADS = """
    hi hello hey well so ok okay yes no oh please remember remember_that note_that fyi btw by_the_way just_so_you_know
    actually anyway sorry and but thanks thank_you thanks_in_advance cheers because since update_my_profile
    update_my_details update_your_records update_your_notes update_that remember_this save_this save_that
    danke danke_dir danke_schön dankeschön vielen_dank bitte_merken merk_dir_das speichere_das aktualisiere_mein_profil
    hallo ja nein also bitte übrigens merk_dir merk_dir_dass und aber eigentlich nämlich
    gracias muchas_gracias mil_gracias recuérdalo guárdalo actualiza_mi_perfil
    hola sí bueno pues por_favor recuerda recuerda_que y pero en_realidad por_cierto
    merci_beaucoup mets_à_jour_mon_profil mettez_à_jour_mon_profil
    bonjour salut oui non bon alors merci retiens_que souviens-toi_que et mais en_fait au_fait d'ailleurs
    muito_obrigado muito_obrigada atualiza_o_meu_perfil atualize_meu_perfil
    olá oi sim não bem então obrigado obrigada lembra-te_que lembre-se_que e mas na_verdade a_propósito
    grazie_mille mille_grazie aggiorna_il_mio_profilo
    ciao sì allora grazie ricorda ricorda_che ricordati_che ma in_realtà a_proposito
    dank_je dank_je_wel dank_u werk_mijn_profiel_bij
    hoi nee nou dus bedankt onthoud onthoud_dat en maar eigenlijk trouwens
"""
"""Words before a statement that change nothing about it."""

ADVERBS = """
    now currently presently nowadays these_days at_the_moment at_present right_now recently finally officially just
    still again last_week last_month last_year yesterday today
    current already aktuelle aktueller schon bereits actual actuel actuelle déjà atual attuale già huidige
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

TODAY = "today heute hoy aujourd'hui hoje oggi vandaag"
"""Words with which the user works in a place for a day: "I'm working at Starbucks today"."""

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
    officially on_paper offiziell oficialmente officiellement ufficialmente officieel
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
    character lol haha jk psych is_that translate sentence example made_up made_that_up made_it_up mean meant quoting
    heard test testing film movie song title acting role roleplay
    nein nicht nie kein keine keinen falsch gelogen lüge scherz spaß witz quatsch war waren sagte sagt schrieb nur bis
    zurück manchmal wochenende wochenenden teilzeit spiel übersetze übersetzen satz stimmt damals zitat lied rolle
    nunca tampoco falso mentira broma era estaba estuve fue dijo dice sólo solo hasta volví vuelto regresé juego a_veces
    frase traduce
    plaisante non pas jamais faux mensonge blague étais était dit écrit seulement jusqu'en jusque revenu revenue
    retourné jeu parfois phrase traduis
    não nem mentira brincadeira estava foi disse diz só até voltei jogo às_vezes traduz
    mai bugia scherzo scherzavo ero stavo ha_detto dice soltanto fino tornato tornata gioco a_volte traduci
    niet nooit geen leugen grapje was zei zegt alleen tot terug spel soms vertaal zin
"""
"""Words behind a statement that may take it back, limit it, or lay it in the mouth of another."""

FRAMES = """
    game story novel fiction character roleplay act_as you_are pretend suppose imagine translate rewrite proofread
    grammar sentence quote example following sent_this wrote_this
    spiel geschichte rolle übersetze satz beispiel stell_dir_vor juego historia traduce frase imagina jeu histoire
    traduis phrase jogo história traduz gioco storia traduci immagina spel verhaal vertaal zin stel_je_voor
"""
"""Words of a sentence behind which others may speak: "Act as Bob", "Check the grammar"."""

ASKING = """
    any_tips any_ideas any_advice any_recommendations any_suggestions where_to_eat
    was_kann was_können was_soll was_sollte was_muss was_darf was_ist was_sind was_gibt was_koche was_esse was_mache
    was_machen was_brauche was_empfiehlst was_würdest was_kostet irgendwelche_tipps irgendwelche_ideen
    algún_consejo alguna_idea alguna_recomendación alguna_sugerencia où des_conseils des_idées une_idée
    alguma_dica alguma_ideia alguma_sugestão qualche_consiglio qualche_idea nog_tips nog_ideeën
"""
"""Beginnings of a question that doubts nothing, though it is short or has a word of another language."""

JOKES = "😂 🤣 😜 😉 🙃 😏 ;) ;-) :P :p /s xD"
"""Marks of irony, anywhere in a text."""

REMARKS = """
    it it's is that's this the a here there place city town area neighbourhood neighborhood weather food people life
    everything so much lot lots very really such truly pretty great good nice lovely wonderful amazing awesome beautiful
    fantastic perfect gorgeous fun sunny warm cold hot expensive cheap quiet busy happy excited
    es ist das die der hier dort sehr wirklich echt ein eine stadt ort wetter essen leute leben toll schön super gut
    großartig wunderbar herrlich klasse prima fantastisch teuer ruhig
    está la el un una ciudad lugar aquí allí clima comida gente vida muy tan genial bonita bonito preciosa precioso
    buena bueno increíble maravillosa maravilloso fantástica fantástico
    c'est est le une ville ici là gens vie très vraiment génial beau belle bien bon bonne magnifique merveilleux
    é a o uma um cidade aqui lá muito tão ótimo ótima óptimo óptima bom boa linda lindo maravilhosa incrível
    è il città posto qui cibo vita molto davvero così bello bella bellissimo bellissima ottimo meraviglioso stupendo
    het de een stad plek daar eten mensen leven heel erg zo geweldig mooi leuk prachtig goed fijn
"""
"""Words of a remark that takes nothing back: "It's great here", "The weather is lovely"."""

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
    love style level chapter phase stage grade season series
    kafka rabbitmq redis terraform ansible jenkins grafana prometheus datadog snowflake databricks spark airflow
    bigquery elasticsearch cassandra supabase firebase heroku vercel netlify cloudflare hetzner react angular svelte
    vue django flask rails laravel spring node deno bun webpack vite tailwind bootstrap tensorflow keras pandas polars
    cobol fortran perl scala haskell elixir erlang clojure julia matlab lua zig dart flutter zsh bash fish powershell
    tmux arch nixos gentoo mint suse centos freebsd pycharm intellij eclipse xcode cursor copilot zed helix sublime
    notepad word excel powerpoint onenote evernote logseq todoist trello asana jira linear confluence basecamp zoom
    skype figma sketch photoshop canva brave edge opera vivaldi bing kagi perplexity mistral llama deepseek grok
    bitwarden lastpass keepass proton fastmail icloud dropbox onedrive nextcloud vodafone verizon revolut wise paypal
    stripe shopify wordpress wix salesforce hubspot mastodon bluesky threads tiktok instagram facebook twitter reddit
    youtube disney tidal kindle samsung huawei tesla microsoft amazon apple meta oracle siemens bosch intel nvidia
    cisco dell lenovo accenture deloitte mckinsey uber airbnb ikea scrum kanban agile waterfall devops microservices
    serverless git svn dvorak colemak qwerty keto paleo bitcoin ethereum wayland
    english spanish german french italian portuguese dutch chinese mandarin japanese korean russian arabic hindi turkish
    polish swedish esperanto latin
    page desk table seat bed yoga islam christianity
    hause norden süden osten westen urlaub pension altbau elternzeit sichtweite laufweite ferienwohnungen vrede
    home apartment building room number unit block floor flat suite house dorm downtown uptown
    krieg miete untermiete angst frieden ruhe armut scheidung trennung partnerschaft rente eile freiheit
    wohngemeinschaft wg hotels zone zimmer haus stadtnähe bahnhofsnähe andar piso lua paix paradis étage pace piano
"""
"""Capitalised words that are no place: "I moved to Linux", "Ich wohne in Untermiete", "I live in Apartment 5"."""

ABBREVIATED_PLACES = "usa us uk uae nyc la dc sf hk eu cdmx"
"""Names of places without a small letter."""

AREAS = """
    europe asia africa america portugal spain france germany italy austria switzerland belgium netherlands holland
    luxembourg ireland england scotland wales uk united_kingdom great_britain denmark norway sweden finland iceland
    poland czechia czech_republic slovakia hungary romania bulgaria greece turkey cyprus malta croatia serbia slovenia
    ukraine russia estonia latvia lithuania usa us america united_states canada mexico brazil argentina chile colombia
    peru venezuela ecuador uruguay bolivia paraguay cuba costa_rica india pakistan china japan korea south_korea taiwan
    thailand vietnam indonesia malaysia philippines australia new_zealand israel lebanon egypt morocco tunisia algeria
    nigeria kenya ghana ethiopia south_africa angola mozambique saudi_arabia iran iraq uae eu
    deutschland österreich schweiz spanien frankreich italien belgien niederlande england schottland polen griechenland
    türkei schweden norwegen dänemark europa bayern hessen sachsen
    españa francia alemania italia suiza inglaterra estados_unidos méxico brasil andalucía cataluña
    espagne allemagne italie suisse belgique angleterre états-unis bretagne provence
    espanha frança alemanha itália suíça inglaterra algarve alentejo
    spagna germania svizzera inghilterra portogallo francia toscana sicilia
    duitsland frankrijk spanje nederland belgië engeland
    alabama alaska arizona arkansas california colorado connecticut delaware florida georgia hawaii idaho illinois
    indiana iowa kansas kentucky louisiana maine maryland massachusetts michigan minnesota mississippi missouri montana
    nebraska nevada new_hampshire new_jersey new_mexico north_carolina ohio oklahoma oregon pennsylvania tennessee texas
    utah vermont virginia wisconsin wyoming ontario quebec bavaria catalonia andalusia tuscany
"""
"""Countries and regions: a town may lie in one of them, so that both are true."""

STREETS = """
    street avenue ave road rd lane drive boulevard blvd way square rua avenida travessa praça calle plaza paseo rue
    place via viale piazza corso straat laan weg platz allee gasse strasse
"""
"""Words of a street: it may lie in the town that is known."""

NO_EMPLOYERS = """
    night day home free fun money myself peanuts dawn dusk noon lunch weekends
    nacht tag regen bedarf gelegenheit wind schnee hitze kälte musik kerzenlicht geld freunden spaß homeoffice charity
    christmas easter school university height food freedom both level chance navidad noël natal natale daglicht
    kunden sonne minusgraden tageslicht stille fieber stromausfall dunkelheit sonnenschein
"""
"""Capitalised words that are no employer: "Ich arbeite bei Nacht"."""

NO_JOBS = """
    rule pair hobby example couple ausgleich übung team volunteer freelancer contractor favour favor freiwilliger
    freiwillige voluntario voluntaria bénévole voluntário voluntária volontario volontaria vrijwilliger freiberufler
    autónomo zzp'er
"""
"""Words behind "I work as a" that may be true beside a profession."""

NO_FORMS_OF_ADDRESS = "tomorrow later back please asap crazy anytime soon now old-fashioned"
"""Words behind "call me" that are no name."""
