"""The word tables of the languages whose words stand apart from each other."""

from __future__ import annotations

from .phrases import make_language

__all__ = ["ARABIC", "GREEK", "LATIN", "RUSSIAN"]

_EVERYWHERE = """ok okay okey k kk lol lmao rofl haha hahaha hahahaha ahah ahahah ahahaha hehe hihi jaja jajaja jajajaja
    jeje kkkk kkk rs mdr ptdr xd hm hmm hmmm mmm mm um uh oh ah aha wow yay ups oops super bravo test thx ty gg pls
    plz please merci danke gracias obrigado obrigada grazie"""

ENGLISH = make_language(
    common="""i i'm i'd i've the a an is are am was were my your you me we our he she they it its of and in on at to
    for with that this these not don't doesn't do does did what who where when why how which can could will would
    should have has had be been about please hello hi hey thanks always never tell give yes any some from by or but
    so if""",
    small_talk=_EVERYWHERE
    + """  yes yeah yep yup nope nah sure fine great cool nice nice_one good perfect awesome excellent amazing
    alright all_right right correct exactly indeed absolutely definitely of_course certainly agreed understood noted
    got_it i_see i_understand i_agree i_think_so i_guess i_guess_so i_hope_so i_know makes_sense sounds_good
    sounds_great looks_good that_works works_for_me that's_great that's_good that's_right that's_fine that's_wrong
    that's_it that's_all that's_not_right that_is_correct it_works it_doesn't_work no_problem no_worries no_thanks
    no_idea not_really not_sure not_sure_what_you_mean
    i'm_not_sure i_don't_know i_don't_understand i_have_no_idea maybe perhaps whatever
    never_mind nevermind forget_it don't_worry do_not_worry don't_mention_it my_pleasure you're_welcome
    you_are_welcome sorry i'm_sorry so_sorry my_bad excuse_me pardon sorry_to_bother_you thank_you thank_you_so_much
    thank_you_very_much thanks_a_lot thanks_a_million many_thanks much_appreciated cheers thanks_for_your_help
    thank_you_for_your_help bye goodbye bye_bye see_you see_ya see_you_later see_you_tomorrow see_you_soon
    talk_to_you_later good_night take_care have_a_nice_day have_a_good_day go_on go_ahead carry_on continue next
    again also well so then now anyway and but actually basically just quick_question one_question one_more_thing
    let_me_see let_me_think let's_see wait hold_on one_moment one_second yes_please no_thank_you by_the_way
    btw oh_well i_mean you_know like look listen look_here what_a_day too everyone all both so_much for_your_help
    for_today for_now for_the_help same_here me_too very_much very_well a_lot indeed""",
    greetings="""hi hello hey hiya howdy yo greetings good_morning good_afternoon good_evening good_day morning
    evening dear hi_there hello_there hey_there welcome thanks thank_you""",
    questions="""whats wheres whens hows whos whys whose what's who's where's when's why's how's how_about
    what_about how_come why_not any_idea any_ideas any_advice any_tips any_suggestions any_recommendations
    any_chance anyone anybody is are am was were isn't aren't wasn't weren't do does did doesn't didn't don't_you
    don't_i don't_we can't_you couldn't_you won't_you wouldn't_you shouldn't_i shouldn't_we haven't_you haven't_i
    hasn't ever_heard got_any got_a_minute got_a_second got_a_moment got_a_sec got_a_suggestion
    got_a_tip""",
    asking="what who whom where when why how which",
    inverted="can could will would should shall may might must have has had can't couldn't won't wouldn't",
    subjects="""i you we he she it they my your our his her their the a an this that these those there someone
    anyone somebody anybody""",
    own="i my mine we our ours me_and he she they his her their our us",
    conjunctions="""since because as while although though and but so now today yesterday tomorrow lately recently
    currently usually given_that now_that considering_that by_the_way""",
    conditions="if suppose supposing assuming imagine unless say_i let's_say",
    commands="""tell show give write make create explain describe translate summarize summarise find search look_up
    list help fix check open play pause repeat say calculate compute compare generate draft rewrite rephrase send
    book order buy set remind suggest recommend convert add delete remove run read print do let wait forget start
    cancel define plan pick choose sort count solve review improve proofread correct turn schedule email text
    message try get bring put take go come keep_going think analyze analyse design build implement debug refactor
    sing draw paint imagine elaborate clarify teach quiz ask guess name outline brainstorm shorten expand edit
    format verify research browse download upload share post update change replace rename move copy paste sum
    multiply divide spell pronounce recite sketch roast rate rank""",
    polite="""can_you could_you would_you will_you can_you_please could_you_please would_you_please will_you_please
    would_you_mind i_want_you_to i'd_like_you_to i_would_like_you_to i_need_you_to you_should you_must please""",
    rules="""remember don't_forget do_not_forget note note_that keep_in_mind bear_in_mind make_a_note take_a_note
    memorize memorise call_me address_me refer_to_me treat_me always never from_now_on from_here_on going_forward
    in_future in_the_future for_future_reference fyi answer_in answer_with answer_me answer_briefly reply_in
    reply_with respond_in respond_with speak speak_to_me talk_to_me write_to_me_in use don't do_not avoid prefer
    no_more keep be stop_using stop_saying stop_calling stop_asking stop_adding stop_writing stop_sending
    stop_giving stop_making""",
    always="always never whenever every_time from_now_on in_future going_forward by_default anymore",
    wishes="""i_wonder i_was_wondering i'm_wondering i_want_to_know i'd_like_to_know i_would_like_to_know
    i_need_to_know i_need_help i_need_some_help i_need_you i_need_your_help i_want_you i'd_like_you i_would_like_you
    i_need_a_hand i_want_to_ask i'd_like_to_ask i_have_a_question i_have_another_question i_have_some_questions
    i_have_questions i_need_an_answer i'm_looking_for_an_answer i'm_curious i_forgot_what i_forgot_where
    i_forgot_how i_forgot_when i_don't_remember i_can't_remember i_don't_know_what i_don't_know_how
    i_don't_know_where i_don't_know_if i'm_asking i_am_asking i_meant_to_ask
    i_asked not_sure_what not_sure_how not_sure_if not_sure_why not_sure_where let's let_me you_are you're you_were
    you_can you_could you_did you_didn't you_said you_forgot you_don't you_know_what""",
    tags="""ok okay right correct yes no isn't_it isn't_he isn't_she aren't_i don't_i doesn't_he doesn't_she
    you_know eh""",
)

GERMAN = make_language(
    common="""ich du er sie es wir ihr der die das den dem ein eine einen einem einer ist sind bin war waren nicht
    kein keine keinen und oder aber mit von zu zum zur für auf im in bei mein meine meinen meiner dein deine mir
    mich dir dich uns wie wo wer wann warum wieso welche welcher welches wem wen woher wohin heute morgen gestern
    bitte danke hallo kannst hast habe hat haben heißt gibt dass wenn weil als seit immer nie ja nein schon noch mal
    auch nach am um nenn merk""",
    small_talk=_EVERYWHERE
    + """  ja jo jep nein nee doch klar gut sehr_gut super toll prima perfekt genau richtig stimmt stimmt_so
    natürlich sicher einverstanden verstanden verstehe ich_verstehe alles_klar alles_gut in_ordnung passt
    passt_schon geht_klar kein_problem keine_ahnung keine_sorge macht_nichts egal schon_gut mach_dir_keine_sorgen
    vielleicht mal_sehen weiß_nicht ich_weiß_nicht weiß_ich_nicht danke_schön dankeschön vielen_dank herzlichen_dank
    danke_sehr besten_dank tausend_dank danke_dir danke_für_die_hilfe danke_für_deine_hilfe bitte bitte_schön
    bitte_sehr gern gerne gern_geschehen sorry entschuldigung entschuldige verzeihung tut_mir_leid tschüss tschüs
    tschau ciao bis_morgen bis_bald bis_später bis_dann auf_wiedersehen gute_nacht schönen_tag schönen_tag_noch
    weiter mach_weiter moment warte eine_frage noch_eine_frage also so und aber dann nun na na_ja naja ach achso
    ach_so äh ähm halt eigentlich kurz mal noch sag_mal hör_mal wow ok_danke nichts_zu_danken lass_mal schau_mal
    gleichfalls ebenso""",
    greetings="""hallo hi hey moin servus guten_morgen guten_tag guten_abend grüß_gott grüezi morgen liebe lieber
    danke hallöchen mahlzeit""",
    questions="""was_ist_mit wie_wäre_es wie_geht's wie_geht_es wessen wozu womit worüber wovon woran worauf wofür
    ist_es gibt_es ist_das ist_der ist_die ist_mein ist_meine sind_die sind_meine irgendwelche_ideen
    irgendwelche_tipps noch_fragen""",
    asking="was wer wen wem wo woher wohin wann warum wieso weshalb wie welche welcher welches welchen welchem",
    inverted=None,
    subjects="ich du er sie es wir ihr man mein meine unser unsere",
    own="""ich wir mein meine meinen meinem meiner meines unser unsere unseren unserem mir mich uns er sie_ist
    sie_hat sie_wohnt sie_arbeitet sie_mag""",
    conjunctions="""da weil seit seitdem obwohl und aber denn heute gestern morgen jetzt zurzeit derzeit
    normalerweise übrigens dass als nachdem bevor damit wenn ob falls sobald solange auch nur für dann leider
    meistens""",
    conditions="wenn falls angenommen sofern ob",
    commands="""sag sage erzähl erzähle zeig zeige gib schreib schreibe mach mache erklär erkläre übersetz übersetze
    hilf such suche find finde lies nenne_mir nenn_mir empfiehl empfehle fass fasse liste erstelle berechne
    vergleiche vergleich lass erinnere_mich erinner_mich buche bestell bestelle schick schicke öffne spiel spiele
    stopp warte komm geh ruf rechne korrigier korrigiere verbessere prüf prüfe beschreib beschreibe generiere
    entwirf plane wähle such definiere analysiere wiederhol wiederhole formulier formuliere kürze ergänze ändere
    lösche setz setze stell stelle schau guck frag frage rate übe bring kauf kaufe male zeichne singe lösch""",
    polite="""kannst_du könntest_du würdest_du kannst_du_bitte könntest_du_bitte können_sie könnten_sie bitte
    du_sollst""",
    rules="""merk_dir merke_dir merk merke denk_daran denk_dran denke_daran vergiss_nicht vergiss_bitte_nicht
    beachte notiere notier nenn_mich nenne_mich ruf_mich_nicht antworte antwort immer nie niemals ab_jetzt ab_sofort
    künftig in_zukunft von_nun_an verwende verwend benutze benutz nutze nutz sprich_mit sprich_deutsch sprich_mich
    duz siez duze sieze keine kein nicht vermeide vermeid hör_auf lass_das""",
    always="immer nie niemals künftig grundsätzlich stets ab_jetzt ab_sofort in_zukunft",
    wishes="""ich_möchte_wissen ich_will_wissen ich_würde_gern_wissen ich_würde_gerne_wissen ich_wüsste_gern
    ich_wüsste_gerne ich_frage_mich ich_hätte_gern_gewusst ich_habe_eine_frage ich_hab_eine_frage
    ich_hätte_eine_frage ich_brauche_hilfe ich_brauche_deine_hilfe ich_möchte_dass_du ich_weiß_nicht_was
    ich_weiß_nicht_wie ich_weiß_nicht_mehr du_bist du_kannst du_hast das_ist_richtig das_ist_falsch lass_uns""",
    tags="ok okay oder ja gell ne nicht_wahr richtig stimmt's stimmts",
)

SPANISH = make_language(
    own_endings=("o", "oy"),
    common="""el la los las un una unos unas es soy eres somos son está estoy estás y o pero de del al en con por
    para que qué cómo dónde cuándo cuál quién cuánto mi mis tu tus me te se nos lo le yo él ella nosotros no sí muy
    más hay tengo tiene tienes puedes puedo quiero gusta llama llamo hoy mañana ayer hola gracias siempre nunca esto
    eso vivo cuando era fue recuerda usa responde como""",
    small_talk=_EVERYWHERE
    + """  sí vale claro claro_que_sí por_supuesto perfecto genial bueno bien muy_bien está_bien estupendo excelente
    fenomenal de_acuerdo entendido entiendo ya_veo lo_entiendo exacto exactamente correcto cierto así_es es_verdad
    desde_luego tal_vez quizás quizá no_sé ni_idea no_lo_sé da_igual no_importa no_pasa_nada no_te_preocupes
    sin_problema suena_bien me_parece_bien tiene_sentido muchas_gracias mil_gracias gracias_por_todo
    gracias_por_tu_ayuda gracias_por_la_ayuda te_lo_agradezco de_nada perdón perdona perdone disculpa disculpe
    lo_siento por_favor adiós chao hasta_luego hasta_mañana hasta_pronto nos_vemos buenas_noches que_tengas_buen_día
    sigue continúa adelante espera un_momento una_pregunta otra_pregunta una_duda pues y pero entonces ahora ah eh
    oye oiga mira a_ver es_decir o_sea por_cierto además también igualmente qué_bien qué_bueno qué_tal bienvenido
    por_todo veamos vamos venga dale igual todo_bien para_nada""",
    greetings="""hola buenas buenos_días buenas_tardes buenas_noches saludos estimado estimada querido querida
    gracias""",
    questions="""qué cómo dónde adónde cuándo cuánto cuánta cuántos cuántas cuál cuáles quién quiénes por_qué
    para_qué que_hora que_sabes que_sabe que_es que_tal que_puedo que_me_recomiendas que_tiempo que_día que_hay
    que_significa que_hago que_debo que_opinas que_piensas que_pasa que_son como_se como_es como_está como_estás
    como_te como_me como_puedo como_puede como_hago como_funciona como_va como_llego como_le donde_está donde_esta
    donde_vivo donde_puedo donde_hay donde_es donde_queda cuando_es cuando_sale cuando_llega cuando_empieza
    cuando_fue cuando_son cuanto cuanta cuantos cuantas cual cuales quien quienes por_que hay_algun hay_alguna
    hay_alguien puedes podrías puede_usted podría sabes sabe_usted tienes conoces quieres crees eres estás vas
    recuerdas te_acuerdas me_puedes me_podrías me_ayudas me_recomiendas me_dices me_explicas puedo podemos debo
    debería tengo_algo tengo_algun tengo_alguna tengo_algún es_cierto_que es_verdad_que alguna_idea algun_consejo
    alguna_sugerencia algún_consejo""",
    own="""yo mi mis mío mía nosotros nosotras nuestro nuestra nuestros nuestras me_gusta me_gustan me_encanta
    me_encantan me_llamo me_mudé nos él ella ellos soy estoy voy he hemos somos estamos tenemos vivimos no_puedo
    no_como no_bebo no_me_gusta no_tengo""",
    conjunctions="""no como porque ya_que puesto_que aunque y pero hoy ayer ahora mañana actualmente normalmente
    desde cuando""",
    conditions="si supongamos imagina",
    commands="""dime dígame dame deme cuéntame muéstrame enséñame escribe escríbeme escriba haz hazme hazlo hazla
    explica explícame traduce tradúceme resume resúmeme ayúdame ayuda busca búscame encuentra lista enumera recomiéndame
    recomienda calcula compara crea genera recuérdame abre pon ponme reserva resérvame corrige mejora sigue continúa
    para repite sugiere sugiéreme dibuja planea planifica ordena envía lee describe define analiza prueba cambia
    añade agrega borra elimina quita compra pide llama_a llama_al elige revisa comprueba convierte canta piensa
    inventa redacta reescribe necesito_que quiero_que""",
    polite="puedes podrías puede podría me_puedes me_podrías por_favor quiero_que necesito_que debes",
    rules="""recuerda recuerde acuérdate ten_en_cuenta tenga_en_cuenta no_olvides no_te_olvides anota apunta llámame
    llámeme siempre nunca a_partir_de_ahora de_ahora_en_adelante desde_ahora en_adelante en_el_futuro responde
    responda contesta conteste háblame hábleme habla no_uses no_use no_utilices no_me_llames no_hagas no_escribas
    no_pongas no_digas no_respondas no_me_hables no_menciones usa use utiliza utilice evita evite tutéame deja_de
    trátame""",
    always="siempre nunca jamás a_partir_de_ahora de_ahora_en_adelante en_adelante",
    wishes="""me_gustaría_saber quisiera_saber quiero_saber me_pregunto tengo_una_pregunta tengo_otra_pregunta
    tengo_una_duda necesito_ayuda necesito_tu_ayuda necesito_saber quiero_preguntar no_sé_qué no_sé_cómo no_sé_dónde
    no_sé_si no_recuerdo no_me_acuerdo eres puedes""",
    tags="no verdad vale ok cierto sí eh",
)

FRENCH = make_language(
    common="""je j tu il elle nous vous ils le la les l un une des de du d à au aux et ou mais est suis es sont
    était étais avons avez ai as a ont ne n pas que qu qui quoi quel quelle où quand comment pourquoi combien mon ma
    mes ton ta tes ce c ça cette dans en sur pour avec par me m te t se s y oui non merci bonjour salut toujours
    jamais peux mes appelle habite désormais raconte dis explique écris""",
    small_talk=_EVERYWHERE
    + """  oui ouais d'accord bien très_bien c'est_bien ça_marche ça_va parfait super génial excellent formidable
    entendu compris je_comprends je_vois exact exactement c'est_ça c'est_vrai bien_sûr évidemment peut-être
    je_ne_sais_pas je_sais_pas aucune_idée tant_pis ce_n'est_pas_grave c'est_pas_grave pas_grave pas_de_problème
    pas_de_souci ne_t'inquiète_pas t'inquiète ça_a_du_sens merci_beaucoup merci_bien mille_mercis merci_pour_tout
    merci_pour_ton_aide merci_pour_votre_aide de_rien je_vous_en_prie je_t'en_prie pardon désolé désolée excuse-moi
    excusez-moi s'il_te_plaît s'il_vous_plaît stp svp au_revoir à_demain à_bientôt à_plus à_plus_tard
    à_tout_à_l'heure bonne_nuit bonne_journée bonne_soirée continue continuez vas-y attends attendez un_instant
    une_question une_autre_question alors donc mais et puis bon ben euh eh_bien enfin voilà au_fait d'ailleurs dis
    dites écoute écoutez voyons moi_aussi pareil tout_va_bien bof ah_bon beaucoup""",
    greetings="bonjour salut coucou bonsoir hello allô cher chère chers bienvenue merci",
    questions="""est-ce que_puis-je que_faire que_penses-tu que_dois-je que_peux-tu que_se_passe quoi quel quelle
    quels quelles où pourquoi combien lequel laquelle lesquels lesquelles qu'est-ce qui_est qui_a qui_sont qui_peut
    qui_était comment à_quelle de_quoi y_a-t-il y_a-t'il c'est_quoi ça_va tu_peux tu_pourrais tu_sais tu_connais
    tu_te_souviens tu_as tu_es vous_pouvez vous_pourriez vous_savez vous_connaissez vous_avez une_idée des_idées
    des_conseils""",
    asking="quand",
    subjects="je j nous il elle mon ma mes on",
    own="""je j mon ma mes nous notre nos moi il elle ils elles on_a on_habite on_est""",
    conjunctions="""comme parce_que parce_qu puisque puisqu car bien_que et mais hier aujourd'hui maintenant
    actuellement d'habitude depuis quand vu_que étant_donné_que""",
    conditions="si s'il imagine imaginons supposons",
    commands="""dis-moi dites-moi raconte raconte-moi racontez-moi montre montre-moi montrez-moi donne donne-moi
    donnez-moi écris écris-moi écrivez fais fais-moi faites explique explique-moi expliquez expliquez-moi traduis
    traduisez résume résumez aide aide-moi aidez-moi cherche cherchez trouve trouve-moi trouvez liste énumère
    recommande recommande-moi conseille-moi calcule calculez compare comparez crée créez génère rappelle-moi
    rappelez-moi ouvre mets réserve corrige corrigez améliore continue attends répète propose propose-moi dessine
    envoie lis lisez décris décrivez définis analyse planifie ajoute supprime enlève achète commande appelle_le
    appelle_la choisis vérifie change convertis chante invente rédige reformule joue arrête teste devine peux-tu
    pouvez-vous pourrais-tu pourriez-vous""",
    polite="""peux-tu pouvez-vous pourrais-tu pourriez-vous tu_peux vous_pouvez tu_pourrais vous_pourriez
    je_veux_que_tu j'aimerais_que_tu s'il_te_plaît s'il_vous_plaît""",
    rules="""souviens-toi souvenez-vous rappelle-toi rappelez-vous retiens retenez note notez n'oublie_pas
    n'oubliez_pas appelle-moi appelez-moi toujours jamais désormais dorénavant à_partir_de_maintenant à_l'avenir
    réponds répondez parle-moi parlez-moi parle_en n'utilise n'utilisez n'emploie n'écris ne_m'appelle ne_me_parle
    ne_réponds ne_mets ne_fais ne_dis ne_mentionne n'ajoute n'appelle évite évitez utilise utilisez tutoie-moi
    vouvoie-moi arrête_de arrêtez_de plus_de pas_d'émojis pas_d'emojis garde_en_tête""",
    always="toujours jamais désormais dorénavant à_l'avenir à_partir_de_maintenant",
    wishes="""j'aimerais_savoir je_voudrais_savoir je_veux_savoir je_me_demande j'ai_une_question
    j'ai_une_autre_question j'ai_besoin_d'aide j'ai_besoin_de_ton_aide j'ai_besoin_de_savoir je_ne_sais_pas_quoi
    je_ne_sais_pas_comment je_ne_me_souviens je_veux_que_tu j'aimerais_que_tu tu_es vous_êtes""",
    tags="non ok n'est-ce_pas hein d'accord pas_vrai oui",
)

PORTUGUESE = make_language(
    own_endings=("o", "ei"),
    common="""o a os as um uma uns umas é sou és somos são está estou e ou mas de do da dos das em no na nos nas com
    por para que quê como onde quando qual quem quanto meu minha meus minhas teu tua seu sua me te se nós ele ela eu
    você não sim muito mais há tenho tem tens pode podes posso quero gosto chamo hoje amanhã ontem olá oi obrigado
    obrigada sempre nunca isto isso moro foi era responde lembra às ao fala mim sobre comigo dela dele""",
    small_talk=_EVERYWHERE
    + """  sim claro claro_que_sim com_certeza perfeito ótimo bom bem muito_bem está_bem tá_bom tá_bem tá excelente
    legal beleza fixe combinado entendi percebi compreendo entendido exato exatamente correto certo isso é_isso
    isso_mesmo é_verdade talvez não_sei sei_lá tanto_faz não_importa não_faz_mal não_se_preocupe não_te_preocupes
    sem_problema sem_problemas faz_sentido parece_bom muito_obrigado muito_obrigada obrigado_por_tudo
    obrigada_por_tudo obrigado_pela_ajuda obrigada_pela_ajuda valeu de_nada por_nada desculpa desculpe perdão
    com_licença por_favor se_faz_favor adeus tchau até_logo até_amanhã até_já até_breve até_mais boa_noite
    bom_descanso continua continue vai_em_frente espera espere um_momento uma_pergunta outra_pergunta uma_dúvida
    pois e mas então agora ah eh olha olhe ora vamos_ver ou_seja a_propósito aliás além_disso também igualmente
    tudo_bem tudo_bom tudo_certo eu_também mesmo imagina de_modo_nenhum por_tudo""",
    greetings="olá oi bom_dia boa_tarde boa_noite oie alô caro cara querido querida bem-vindo obrigado obrigada",
    questions="""o_que o_quê que_horas que_dia que_tempo que_tal quê qual quais quem quanto quanta quantos quantas
    onde aonde de_onde por_que porque_é por_quê cadê será_que como_se como_está como_estão como_vai como_é como_são
    como_posso como_pode como_faço como_funciona como_funcionam como_chego como_vou como_me como_te quando_é
    quando_foi quando_sai quando_chega quando_começa quando_são tem_alguma tem_algum há_alguma há_algum você_pode
    você_poderia você_sabe você_conhece você_tem você_consegue você_lembra você_é podes pode podia poderia consegues
    consegue sabes sabe conheces conhece lembras-te tens és estás me_pode posso podemos devo deveria tenho_algum
    tenho_alguma alguma_ideia alguma_sugestão alguma_dica algum_conselho é_verdade_que e_se""",
    own="""eu meu minha meus minhas nós nosso nossa nossos nossas a_minha o_meu os_meus as_minhas gosto sou estou
    vou tenho me_chamo me_mudei ele ela eles elas somos estamos temos moramos não_posso não_como não_bebo não_gosto
    não_tenho""",
    conjunctions="""não como porque já_que visto_que embora e mas hoje ontem agora amanhã atualmente normalmente
    desde quando""",
    conditions="se imagina suponha suponhamos",
    commands="""diz-me diz diga dizer me_diga me_diz conta-me conta conte me_conta me_conte mostra mostra-me mostre
    me_mostra me_mostre dá-me dá dê me_dá me_dê escreve escreva faz faça explica explica-me explique me_explica
    me_explique traduz traduza resume resuma ajuda ajuda-me ajude me_ajuda me_ajude procura procure encontra
    encontre lista liste recomenda recomende recomenda-me calcula calcule compara compare cria crie gera gere
    lembra-me me_lembra me_lembre lembre-me abre abra põe ponha reserva reserve corrige corrija melhora melhore
    continua continue repete repita sugere sugira desenha desenhe planeia planeje envia envie lê leia descreve
    descreva define defina analisa analise adiciona adicione apaga apague remove remova compra compre liga ligue
    escolhe escolha verifica verifique muda mude converte converta canta cante inventa reescreve reescreva redige
    preciso_que quero_que""",
    polite="podes pode poderia podias você_pode você_poderia me_pode por_favor quero_que preciso_que",
    rules="""lembra-te lembre-se lembra_que lembre_que lembra_te lembra lembre não_esqueça não_esqueças
    não_te_esqueças não_se_esqueça anota anote aponta tem_em_conta tenha_em_mente chama-me chame-me me_chame
    me_chama me_chamem sempre nunca a_partir_de_agora daqui_em_diante de_agora_em_diante doravante no_futuro
    responde responda fala_comigo fale_comigo fala_em fale_em não_uses não_use não_utilize não_utilizes
    não_me_chames não_me_chame não_escrevas não_escreva não_faças não_faça não_digas não_diga não_respondas
    não_responda não_menciones usa use utiliza utilize evita evite trata-me me_trate para_de pare_de deixa_de""",
    always="sempre nunca jamais a_partir_de_agora daqui_em_diante doravante",
    wishes="""gostaria_de_saber queria_saber quero_saber gostava_de_saber eu_gostaria_de_saber eu_queria_saber
    eu_quero_saber pergunto-me me_pergunto tenho_uma_pergunta tenho_outra_pergunta tenho_uma_dúvida preciso_de_ajuda
    preciso_da_tua_ajuda preciso_da_sua_ajuda preciso_saber preciso_de_saber não_sei_o_que não_sei_como não_sei_onde
    não_sei_se não_me_lembro não_lembro""",
    tags="não né ok certo sim verdade tá",
)

ITALIAN = make_language(
    own_endings=("o",),
    common="""il lo la i gli le l un uno una è sono sei siamo e o ma di del della dei a al alla in nel nella con per
    che chi cosa come dove quando quale quanto mio mia miei mie tuo tua mi ti si ci vi io tu lui lei noi non sì no
    molto più ho hai ha abbiamo puoi posso voglio piace chiamo oggi domani ieri ciao grazie sempre mai questo questa
    vivo ero era d dell sull dall rispondi usa fa che mi""",
    small_talk=_EVERYWHERE
    + """  bella_questa buona_questa sì certo certamente va_bene perfetto ottimo bene molto_bene benissimo bello
    eccellente fantastico d'accordo capito ho_capito capisco esatto esattamente corretto giusto vero è_vero
    proprio_così ovviamente forse
    può_darsi non_so non_lo_so boh nessuna_idea non_importa fa_niente non_fa_niente non_ti_preoccupare
    non_si_preoccupi nessun_problema mi_sembra_giusto suona_bene ha_senso grazie_mille mille_grazie molte_grazie
    grazie_di_tutto grazie_per_l'aiuto grazie_tante prego di_niente figurati scusa scusi scusami mi_dispiace
    per_favore per_piacere arrivederci a_presto a_domani a_dopo ci_vediamo buonanotte buona_notte buona_giornata
    buona_serata continua vai vai_avanti avanti aspetta un_attimo una_domanda un'altra_domanda allora quindi ma e
    poi ora adesso dunque beh eh ehm ah senti senta guarda dai vediamo cioè a_proposito comunque inoltre anche
    anch'io tutto_bene tutto_a_posto bravo brava ah_ok per_niente tutti mille insomma""",
    greetings="ciao salve ehi hey buongiorno buonasera buon_pomeriggio caro cara benvenuto grazie pronto",
    questions="""che_ore che_ora che_cosa che_tempo che_giorno che_significa che_fai che_ne che_c'è cosa cos'è cos
    chi quale quali qual dove dov'è dov come_si come_mi come_ti come_sta come_stai come_va come_è com'è come_posso
    come_faccio come_funziona come_funzionano come_ci come_arrivo come_vado perché quanto quanta quanti quante puoi
    potresti può potrebbe sai conosci hai mi_puoi ti_ricordi ricordi posso possiamo devo dovrei c'è ci_sono
    è_vero_che sei stai quando_è quando_parte quando_arriva quando_inizia quando_sono hai_voglia ho_riunioni
    ho_appuntamenti ho_impegni qualche_idea qualche_consiglio qualche_suggerimento e_se""",
    own="""io mio mia miei mie noi nostro nostra nostri nostre mi_piace mi_piacciono mi_chiamo mi_sono il_mio la_mia
    i_miei le_mie ci_siamo sono abbiamo siamo ho lui lei loro non_posso non_mangio non_bevo non_mi_piace non_ho""",
    conjunctions="""non poiché siccome dato_che visto_che perché anche_se e ma oggi ieri ora adesso attualmente
    di_solito da quando""",
    conditions="se immagina supponiamo",
    commands="""dimmi mi_dica dammi raccontami racconta mostrami mostra scrivi scrivimi fai fammi spiega spiegami
    traduci traducimi riassumi aiutami aiuta cerca cercami trova trovami elenca consigliami consiglia raccomandami
    calcola confronta crea genera ricordami apri metti prenota correggi migliora continua ripeti suggerisci
    suggeriscimi disegna pianifica ordina invia manda leggi descrivi definisci analizza prova cambia aggiungi
    cancella elimina togli compra chiama scegli controlla verifica converti canta inventa componi riscrivi insegnami
    ho_bisogno_che voglio_che""",
    polite="puoi potresti può potrebbe mi_puoi mi_potresti per_favore per_piacere voglio_che vorrei_che devi",
    rules="""ricorda ricordati ricordatevi ricordi_che tieni_presente tieni_a_mente tieni_conto non_dimenticare
    non_dimenticarti annota annotati segna segnati prendi_nota chiamami mi_chiami sempre mai d'ora_in_poi
    d'ora_in_avanti da_ora_in_poi da_adesso_in_poi in_futuro rispondi rispondimi parlami parla_in non_usare
    non_utilizzare non_chiamarmi non_scrivere non_fare non_dire non_mettere non_rispondere non_menzionare usa
    utilizza evita smetti_di smettila_di dammi_del_tu dammi_del_lei trattami basta_emoji""",
    always="sempre mai d'ora_in_poi d'ora_in_avanti da_ora_in_poi in_futuro",
    wishes="""vorrei_sapere voglio_sapere mi_chiedo mi_domando mi_piacerebbe_sapere ho_una_domanda
    ho_un'altra_domanda ho_bisogno_di_aiuto ho_bisogno_d'aiuto ho_bisogno_del_tuo_aiuto ho_bisogno_di_sapere
    non_so_cosa non_so_come non_so_dove non_so_se non_ricordo non_mi_ricordo sei""",
    tags="no vero giusto ok eh sì",
)

LATIN = (ENGLISH, GERMAN, SPANISH, FRENCH, PORTUGUESE, ITALIAN)

RUSSIAN = make_language(
    common="",
    small_talk=_EVERYWHERE
    + """  да нет ок окей ладно хорошо отлично понятно понял поняла ясно конечно точно верно согласен согласна супер
    круто класс не_знаю может_быть наверное неважно ничего не_за_что пожалуйста извини извините прости простите пока
    до_свидания до_завтра увидимся спокойной_ночи спасибо_большое большое_спасибо спасибо_за_помощь благодарю
    продолжай дальше ещё подожди ну а и но так вот слушай кстати хаха ахах лол большое всё""",
    greetings="привет здравствуй здравствуйте доброе_утро добрый_день добрый_вечер приветик хай спасибо",
    questions="""что кто где куда откуда почему зачем какой какая какое какие сколько чей чья чьё как_зовут
    как_называется как_дела как_мне как_у как_можно как_сделать как_работает как_работают как_пройти как_добраться
    есть_ли можно_ли знаешь_ли можешь можете ты_можешь вы_можете ты_знаешь знаешь помнишь ты_помнишь у_меня_есть_ли""",
    asking="когда как",
    subjects="я мы он она они мой моя мои у",
    own="я мой моя моё мои мне меня мы наш наша у_меня у_нас он она они",
    conjunctions="так_как потому_что поскольку хотя и но сегодня вчера сейчас завтра обычно",
    conditions="если допустим предположим",
    commands="""расскажи расскажите скажи скажите напиши напишите покажи покажите дай дайте сделай сделайте объясни
    объясните переведи переведите помоги помогите найди найдите посоветуй порекомендуй посчитай сравни создай
    придумай напомни_мне напомни открой включи закажи купи исправь проверь продолжи повтори опиши составь перечисли
    прочитай""",
    polite="можешь можете пожалуйста не_мог_бы_ты",
    rules="""запомни запомните помни имей_в_виду не_забудь не_забывай зови_меня называй_меня называйте_меня всегда
    никогда отныне с_этого_момента впредь отвечай отвечайте говори_со_мной не_используй не_используйте используй
    используйте избегай не_называй не_пиши""",
    always="всегда никогда отныне впредь",
    wishes="""хочу_узнать я_хочу_узнать я_хочу_знать хотел_бы_узнать интересно у_меня_вопрос у_меня_есть_вопрос
    мне_нужна_помощь""",
    tags="да нет правда верно ок",
)

ARABIC = make_language(
    common="",
    small_talk=_EVERYWHERE
    + """  نعم لا حسنا حسناً تمام طيب ممتاز رائع جيد شكرا شكراً شكرا_جزيلا شكراً_جزيلاً عفوا عفواً آسف أسف من_فضلك
    لو_سمحت مع_السلامة وداعا إلى_اللقاء تصبح_على_خير ربما لا_أعرف لا_أدري فهمت مفهوم بالتأكيد طبعا""",
    greetings="مرحبا مرحباً أهلا أهلاً السلام_عليكم صباح_الخير مساء_الخير يا شكرا",
    questions="""هل ماذا أين اين متى كيف لماذا كم أي أية ما_هو ما_هي ما_اسم ما_رأيك ما_معنى من_هو من_هي من_أين أليس
    هلا هل_يمكنك""",
    own="أنا انا أعيش أسكن أعمل أحب لدي عندي اسمي نحن",
    commands="أخبرني اكتب أكتب ترجم اشرح ساعدني أعطني أرني لخص ابحث احسب قل احك احكي اقترح ذكرني",
    rules="تذكر لا_تنس لا_تنسى نادني دائما دائماً أبدا من_الآن أجب لا_تستخدم استخدم",
    always="دائما دائماً أبدا أبداً",
    wishes="أريد_أن_أعرف أود_أن_أعرف أتساءل لدي_سؤال عندي_سؤال أحتاج_مساعدة",
)

GREEK = make_language(
    common="",
    small_talk=_EVERYWHERE
    + """  ναι όχι εντάξει οκ ωραία τέλεια καλά σωστά ακριβώς βέβαια φυσικά ευχαριστώ ευχαριστώ_πολύ παρακαλώ
    συγγνώμη αντίο τα_λέμε καληνύχτα δεν_ξέρω ίσως κατάλαβα λοιπόν και αλλά πολύ""",
    greetings="γεια γεια_σου γεια_σας καλημέρα καλησπέρα χαίρετε ευχαριστώ",
    questions="πού πώς τι ποιος ποια ποιο ποιον ποιοι πότε γιατί πόσο πόσα πόσες πόσοι μπορείς μπορείτε ξέρεις",
    own="εγώ μένω είμαι έχω δουλεύω ο_αδερφός_μου η_γάτα_μου με_λένε μου_αρέσει εμείς",
    commands="πες_μου πες γράψε δείξε δώσε μετάφρασε εξήγησε βοήθησε βρες υπενθύμισε",
    rules="""θυμήσου μην_ξεχάσεις λέγε_με να_με_λες πάντα ποτέ από_εδώ_και_πέρα απάντα μη_χρησιμοποιείς
    χρησιμοποίησε""",
    always="πάντα ποτέ",
    wishes="θέλω_να_μάθω θα_ήθελα_να_μάθω αναρωτιέμαι έχω_μια_ερώτηση",
)
