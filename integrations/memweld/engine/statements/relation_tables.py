"""Beginnings of the statements whose relation is known, for the languages of the stop words.

A form is a row of words joined by ``_``: ``a/b`` are alternatives, ``a?`` may be missing, ``*`` are one to four other
words, and ``#`` are those of the value, which else follows behind. ``@`` is the user in the third person; where *my*
stands, *the user's* may. ``~`` precedes a form that may say something else: it has no single value. An entry without
accents matches accented words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["LANGUAGES", "RelationTable"]


@dataclass(frozen=True, kw_only=True)
class RelationTable:
    """The forms of one language.

    Attributes:
        users: The names of the user in the third person.
        genitives: The same behind what is theirs: ``die Adresse des Nutzers``.
        selves: Words with which a clause about the speaker begins.
        subjects: Those of them that make the speaker the subject.
        forms: The beginnings of statements by relation.
        events: The same, of events that lead to the relation; a time may follow the value.
        ends: The same, for the end of a relation.
        statuses: Words of the marital status by their English name, and the words before them under ``""``.
        joining: Words before a further clause: ``and I work at Acme``.
        possessives: The words for *my*.
        copulas: The verbs between an attribute and its value; with ``=`` in front those that tell a name.
        attributes: Words that make an attribute of what the speaker has; with ``-`` at the end their beginnings.
    """

    users: str
    genitives: str
    selves: str
    subjects: str
    forms: dict[str, str]
    events: dict[str, str] = field(default_factory=dict[str, str])
    ends: dict[str, str]
    statuses: dict[str, str]
    joining: str
    possessives: str
    copulas: str
    attributes: str


ENGLISH = RelationTable(
    users="the_user user the_human",
    genitives="of_the_user",
    selves="i i'm i've i'd im my me",
    subjects="i i'm i've i'd",
    forms={
        "home": """i_live/reside_in/at ~we_live/reside_in/at i'm/im_living/based_in/at i_am_living/based_in/at
        my_new?_home?_address_is i/i've/ive_have?_been_living/based_in/at ~we/we've_have?_been_living_in/at
        i've/ive_lived_in/at_#_since_* i_have_lived_in/at_#_since_* my_home?_address_has?_changed_to
        @_lives/resides_in/at @_is/has_been?_living/based_in/at @_has_lived_in_#_since_*""",
        "employer": """i_work_at/for i'm/im_working_at/for i_am_working_at/for i'm/im_employed_at/by
        i_am_employed_at/by my_new?_employer_is @_works_at/for @_is_working/employed_at/for/by""",
        "job": """i_work_as_a/an i'm/im_working_as_a/an i_am_working_as_a/an ~my_profession/occupation_is
        ~my_job_title_is @_works_as_a/an""",
        "name": "my_new?_name_is my_name's i'm/im_called i_am_called @_is_called/named",
        "form of address": """you?_can?_call_me i_go_by i_prefer_to_be_called i'd_like_to_be_called @_goes_by
        @_prefers/wants_to_be_called""",
        "phone": "my_new?_phone_number?_is my_phone_number?_has?_changed_to ~my_number_is ~my_number_has?_changed_to",
        "mobile phone": "my_new?_mobile/cell_phone?_number?_is my_mobile/cell_phone?_number?_has?_changed_to",
        "e-mail": "my_new?_email/e-mail_address?_is my_email/e-mail_address?_has?_changed_to",
        "birthday": "my_birthday_is_on? i_was_born_on my_date_of_birth_is my_birth_date_is @_was_born_on",
        "age": "i'm/im_#_years_old i_am_#_years_old my_age_is @_is_#_years_old i_turned @_turned",
        "time zone": "my_new?_time_zone_is my_new?_timezone_is",
    },
    events={
        "home": """i/i've/ive_have?_moved/relocated_back?_to i/i've/ive_have?_moved/relocated_from_*_to
        @_has?_moved/relocated_back?_to @_has?_moved/relocated_from_*_to ~we/we've_have?_moved/relocated_back?_to
        ~i'm_back_in""",
        "employer": "i_started_working_at/for @_started_working_at/for ~i_started_at ~i_joined ~@_joined",
    },
    ends={
        "home": """i_no_longer_live_in/at i_don't/dont_live_in/at_#_anymore i_do_not_live_in/at_#_anymore
        i_don't/dont_live_in/at_#_any_more ~i_don't/dont_live_in/at ~i_do_not_live_in/at ~@_doesn't_live_in/at
        @_no_longer_lives_in/at @_doesn't_live_in/at_#_anymore""",
        "employer": """i_no_longer_work_at/for i_don't/dont_work_at/for_#_anymore i_do_not_work_at/for_#_anymore
        ~i_don't/dont_work_at/for ~i_do_not_work_at/for i_quit/left_my_job_at i've_left/quit_my_job_at
        i_have_left/quit_my_job_at ~@_doesn't_work_at/for @_quit/left_my/his/her/their_job_at @_no_longer_works_at/for
        @_doesn't_work_at/for_#_anymore""",
    },
    statuses={
        "": "i'm im i_am @_is",
        "married": "married",
        "single": "single",
        "divorced": "divorced",
        "widowed": "widowed",
        "engaged": "engaged",
        "separated": "separated",
    },
    joining="and but because since so",
    possessives="my",
    copulas="is are",
    attributes="""favourite favorite favourites favorites name names nickname surname number birthday age size weight
    height budget goal deadline""",
)

GERMAN = RelationTable(
    users="der_benutzer die_benutzerin der_nutzer die_nutzerin benutzer nutzer der_user die_userin",
    genitives="des_benutzers der_benutzerin des_nutzers der_nutzerin des_users der_userin",
    selves="ich mein meine mir mich",
    subjects="ich",
    forms={
        "home": """ich_wohne_in wohne_ich_in ~ich_lebe_in ~lebe_ich_in ich_bin_wohnhaft_in ~wir_wohnen_in
        ich_wohne_seit_*_in seit_*_wohne_ich_in meine_neue?_adresse/anschrift_ist/lautet @_wohnt_in @_wohnt_seit_*_in
        ~@_lebt_in""",
        "employer": """ich_arbeite_bei arbeite_ich_bei ~ich_arbeite_beim/für ~arbeite_ich_beim/für
        ich_bin_bei/beim_#_angestellt/beschäftigt mein_neuer?_arbeitgeber_ist/heißt @_arbeitet_bei/beim
        ~@_arbeitet_für""",
        "job": """ich_arbeite_als arbeite_ich_als ~mein_beruf_ist von_beruf_bin_ich ich_bin_von_beruf
        ich_bin_#_von_beruf @_arbeitet_als""",
        "name": "ich_heiße mein_name_ist/lautet @_heißt",
        "form of address": "nenn/nenne/nennt_mich nennen_sie_mich",
        "phone": "meine_neue?_telefonnummer_ist/lautet_die? ~meine_nummer_ist/lautet_die?",
        "mobile phone": "meine_neue?_handynummer/mobilnummer_ist/lautet_die?",
        "e-mail": "meine_neue?_email/e-mail/e-mail-adresse/emailadresse/email-adresse/mailadresse_ist/lautet",
        "birthday": """mein_geburtstag_ist_am?/der? ich_habe_am_#_geburtstag ich_bin/wurde_am_#_geboren
        mein_geburtsdatum_ist_der? @_wurde/ist_am_#_geboren""",
        "age": "ich_bin_#_jahre_alt @_ist_#_jahre_alt mein_alter_ist",
        "time zone": "meine_zeitzone_ist",
    },
    events={
        "home": """ich_bin_nach/in_#_gezogen/umgezogen bin_ich_nach/in_#_gezogen/umgezogen
        ich_bin_von_*_nach_#_gezogen/umgezogen @_ist_nach/in_#_gezogen/umgezogen @_ist_von_*_nach_#_gezogen/umgezogen
        ~wir_sind_nach/in_#_gezogen/umgezogen""",
    },
    ends={
        "home": """ich_wohne/lebe_nicht_mehr_in @_wohnt/lebt_nicht_mehr_in ~ich_wohne/lebe_nicht_in
        ich_wohne/lebe_seit_*_nicht_mehr_in""",
        "employer": """ich_arbeite_nicht_mehr_bei/beim/für @_arbeitet_nicht_mehr_bei/beim/für
        ~ich_arbeite_nicht_bei/beim/für ich_habe_bei/beim_#_gekündigt""",
    },
    statuses={
        "": "ich_bin @_ist",
        "married": "verheiratet",
        "single": "ledig single unverheiratet",
        "divorced": "geschieden",
        "widowed": "verwitwet",
        "engaged": "verlobt",
    },
    joining="und aber denn weil",
    possessives="mein meine",
    copulas="ist sind =heißt =heißen lautet",
    attributes="lieblings- name vorname nachname spitzname nummer geburtstag größe gewicht budget ziel alter",
)

SPANISH = RelationTable(
    users="el_usuario la_usuaria usuario usuaria",
    genitives="del_usuario de_la_usuaria",
    selves="yo mi mis me soy estoy tengo vivo trabajo",
    subjects="yo soy estoy tengo vivo trabajo",
    forms={
        "home": """yo?_vivo/resido_en yo?_estoy_viviendo_en mi_nueva?/nuevo?_direccion/domicilio_es @_vive/reside_en
        yo?_vivo/resido_desde_*_en desde_*_vivo/resido_en yo?_llevo_*_viviendo_en @_lleva_*_viviendo_en ~vivimos_en
        @_esta_viviendo_en""",
        "employer": "yo?_trabajo_para ~yo?_trabajo_en mi_nuevo?_empleador_es @_trabaja_para ~@_trabaja_en",
        "job": "yo?_trabajo_como ~mi_profesion_es soy_#_de_profesion @_trabaja_como",
        "name": "yo?_me_llamo mi_nombre_es @_se_llama",
        "form of address": "llamame/llameme/llamadme puedes_llamarme",
        "phone": "mi_nuevo?_telefono_es_el? mi_nuevo?_numero_de_telefono_es_el? ~mi_numero_es_el?",
        "mobile phone": "mi_nuevo?_movil/celular_es_el? mi_nuevo?_numero_de_movil/celular_es_el?",
        "e-mail": """mi_nuevo?_correo_electronico?_es mi_nuevo?_email/e-mail_es
        mi_nueva?_direccion_de_correo/email_electronico?_es""",
        "birthday": "mi_cumpleaños_es_el? naci_el mi_fecha_de_nacimiento_es_el? @_nacio_el",
        "age": "yo?_tengo_#_años mi_edad_es @_tiene_#_años yo?_cumpli_#_años",
        "time zone": "mi_zona_horaria_es mi_huso_horario_es",
    },
    events={
        "home": """yo?_me_mudé/trasladé_a yo?_me_he_mudado/trasladado_a yo?_me_mudé/trasladé_de/desde_*_a
        yo?_me_he_mudado_de/desde_*_a yo?_me_acabo_de_mudar/trasladar_a yo?_acabo_de_mudarme/trasladarme_a
        ~nos_mudamos/trasladamos_a ~nos_hemos_mudado/trasladado_a @_se_mudó/trasladó_a @_se_ha_mudado/trasladado_a
        @_se_mudó_de/desde_*_a""",
        "employer": "yo?_empecé_a_trabajar_para ~yo?_empecé_a_trabajar_en @_empezó_a_trabajar_para",
    },
    ends={
        "home": "yo?_ya_no_vivo_en yo?_no_vivo_mas_en @_ya_no_vive_en ~yo?_no_vivo_en",
        "employer": "yo?_ya_no_trabajo_en/para @_ya_no_trabaja_en/para ~yo?_no_trabajo_en/para ~yo?_dejé_mi_trabajo_en",
    },
    statuses={
        "": "yo?_estoy yo?_soy @_está @_es",
        "married": "casado casada",
        "single": "soltero soltera",
        "divorced": "divorciado divorciada",
        "widowed": "viudo viuda",
        "engaged": "comprometido comprometida",
        "separated": "separado separada",
    },
    joining="y pero porque",
    possessives="mi",
    copulas="es son =se_llama",
    attributes="""favorito favorita favoritos favoritas preferido preferida nombre apellido apodo número cumpleaños
    edad talla peso altura presupuesto""",
)

FRENCH = RelationTable(
    users="l'utilisateur l'utilisatrice utilisateur utilisatrice",
    genitives="de_l'utilisateur de_l'utilisatrice",
    selves="je j'ai j'habite je suis mon ma mes moi",
    subjects="je j'ai j'habite",
    forms={
        "home": """j'habite_a?/au?/aux?/en? je_vis/reside/demeure_a/au/aux/en mon/ma_nouvelle?_adresse_est
        j'habite_depuis_*_a/au/aux/en je_vis_depuis_*_a/au/aux/en depuis_*_j'habite_a/au/aux/en
        ~nous_habitons_a?/au?/aux?/en? ~on_habite_a?/au?/aux?/en? @_habite_a?/au?/aux?/en? @_vit/reside_a/au/aux/en""",
        "employer": "je_travaille_chez/pour mon_nouvel?_employeur_est @_travaille_chez/pour",
        "job": "je_travaille_comme ~mon_métier_est ~ma_profession_est je_suis_#_de_métier/profession @_travaille_comme",
        "name": "je_m'appelle @_s'appelle",
        "form of address": "appelle-moi/appelez-moi",
        "phone": "mon_nouveau?_téléphone_est_le? mon_nouveau?_numéro_de_téléphone_est_le? ~mon_numéro_est_le?",
        "mobile phone": "mon_nouveau?_portable/mobile_est_le? mon_nouveau?_numéro_de_portable_est_le?",
        "e-mail": "mon_nouvel?/nouveau?_email/e-mail/mail/courriel_est mon/ma_nouvelle?_adresse_email/e-mail/mail_est",
        "birthday": "mon_anniversaire_est_le? je_suis_né/née_le ma_date_de_naissance_est_le? @_est_né/née_le",
        "age": "j'ai_#_ans @_a_#_ans",
        "time zone": "mon_fuseau_horaire_est",
    },
    events={
        "home": """j'ai_emménagé/déménagé_a/au/aux/en j'ai_déménagé_de_*_a/au/aux/en
        je_me_suis_installé/installée_a/au/aux/en je_viens_de?_déménager/d'emménager/m'installer_a/au/aux/en
        ~nous_avons_déménagé/emménagé_a/au/aux/en ~on_a_déménagé/emménagé_a/au/aux/en
        @_a_déménagé/emménagé_a/au/aux/en @_s'est_installé/installée_a/au/aux/en""",
        "employer": "j'ai_commencé_a_travailler_chez/pour",
    },
    ends={
        "home": """je_n'habite_plus_a?/au?/aux?/en? je_ne_vis_plus_a/au/aux/en @_n'habite_plus_a?/au?/aux?/en?
        @_ne_vit_plus_a/au/aux/en ~je_n'habite_pas_a?/au?/aux?/en? ~je_ne_vis_pas_a/au/aux/en""",
        "employer": """je_ne_travaille_plus_chez/pour @_ne_travaille_plus_chez/pour ~je_ne_travaille_pas_chez/pour
        ~j'ai_quitté_mon_travail/emploi/poste_chez""",
    },
    statuses={
        "": "je_suis @_est",
        "married": "marié mariée",
        "single": "célibataire",
        "divorced": "divorcé divorcée",
        "widowed": "veuf veuve",
        "engaged": "fiancé fiancée",
        "separated": "séparé séparée",
    },
    joining="et mais car",
    possessives="mon ma",
    copulas="est sont =s'appelle",
    attributes="""préféré préférée préférés préférées favori favorite nom prénom surnom numéro anniversaire âge taille
    poids budget""",
)

PORTUGUESE = RelationTable(
    users="o_utilizador a_utilizadora o_usuario a_usuaria utilizador utilizadora usuario usuaria",
    genitives="do_utilizador da_utilizadora do_usuario da_usuaria",
    selves="eu meu minha o_meu a_minha me sou estou tenho moro vivo trabalho chamo-me",
    subjects="eu sou estou tenho moro vivo trabalho",
    forms={
        "home": """eu?_moro/vivo/resido_em/no/na/nos/nas eu?_estou_a_viver/morar_em/no/na
        eu?_estou_morando/vivendo_em/no/na a?_minha_nova?_morada_é o?_meu_novo?_endereço_é
        eu?_moro/vivo_há/desde_*_em/no/na há/desde_*_moro/vivo_em/no/na ~moramos/vivemos_em/no/na
        @_mora/vive/reside_em/no/na/nos/nas""",
        "employer": """eu?_trabalho_para ~eu?_trabalho_em/no/na o?_meu_novo?_empregador_é @_trabalha_para
        ~@_trabalha_em/no/na""",
        "job": "eu?_trabalho_como ~a?_minha_profissão_é @_trabalha_como",
        "name": "eu?_me?_chamo-me/chamo o?_meu_nome_é @_chama-se @_se_chama",
        "form of address": "chama-me/chame-me me_chama/chame_de? pode/podes_chamar-me",
        "phone": "o?_meu_novo?_telefone_é_o? o?_meu_novo?_número_de_telefone_é_o? ~o?_meu_número_é_o?",
        "mobile phone": "o?_meu_novo?_telemóvel/celular_é_o? o?_meu_novo?_número_de_telemóvel/celular_é_o?",
        "e-mail": "o?_meu_novo?_email/e-mail_é o?_meu_novo?_endereço_de_email/e-mail_é",
        "birthday": """o?_meu_aniversário_é_a?/em?/no?_dia? eu?_nasci_a/em/no_dia? eu?_faço_anos_a/em/no_dia?
        a?_minha_data_de_nascimento_é""",
        "age": "eu?_tenho_#_anos @_tem_#_anos a?_minha_idade_é",
        "time zone": "o?_meu_fuso_horário_é",
    },
    events={
        "home": """eu?_mudei-me_para eu?_me_mudei_para ~eu?_mudei_para eu?_me_mudei_de/do/da_*_para
        eu?_acabei/acabo_de_me_mudar_para eu?_acabei/acabo_de_mudar-me_para ~eu?_acabei_de_mudar_para
        ~nos_mudamos_para ~mudámo-nos_para eu?_mudei-me_de/do/da_*_para @_mudou-se_para @_se_mudou_para
        @_mudou-se_de/do/da_*_para""",
        "employer": "eu?_comecei_a_trabalhar_para ~eu?_comecei_a_trabalhar_em/no/na",
    },
    ends={
        "home": """eu?_já_não_moro/vivo_em/no/na eu?_não_moro/vivo_mais_em/no/na @_já_não_mora/vive_em/no/na
        @_não_mora/vive_mais_em/no/na ~eu?_não_moro/vivo_em/no/na""",
        "employer": """eu?_já_não_trabalho_em/no/na/para eu?_não_trabalho_mais_em/no/na/para
        @_já_não_trabalha_em/no/na/para @_não_trabalha_mais_em/no/na/para ~eu?_não_trabalho_em/no/na/para""",
    },
    statuses={
        "": "eu?_sou eu?_estou @_é @_está",
        "married": "casado casada",
        "single": "solteiro solteira",
        "divorced": "divorciado divorciada",
        "widowed": "viúvo viúva",
        "engaged": "noivo noiva",
        "separated": "separado separada",
    },
    joining="e mas porque",
    possessives="meu minha o_meu a_minha",
    copulas="é são =chama-se =se_chama",
    attributes="""favorito favorita favoritos favoritas preferido preferida nome apelido sobrenome número aniversário
    idade tamanho peso altura orçamento""",
)

ITALIAN = RelationTable(
    users="l'utente utente",
    genitives="dell'utente",
    selves="io mi mio mia il_mio la_mia sono ho vivo abito lavoro",
    subjects="io sono ho vivo abito lavoro",
    forms={
        "home": """io?_vivo/abito/risiedo_a/ad/in/nel/nella io?_sto_vivendo_a/ad/in/nel/nella
        il?_mio_nuovo?_indirizzo_è io?_vivo/abito_da_*_a/ad/in da_*_vivo/abito_a/ad/in
        ~viviamo/abitiamo_a/ad/in/nel/nella @_vive/abita/risiede_a/ad/in/nel/nella""",
        "employer": """io?_lavoro_per/presso ~io?_lavoro_in/a/alla/da il?_mio_nuovo?_datore_di_lavoro_è
        @_lavora_per/presso ~@_lavora_in/a/alla/da""",
        "job": "io?_lavoro_come ~la?_mia_professione_è @_lavora_come",
        "name": "io?_mi_chiamo il?_mio_nome_è @_si_chiama",
        "form of address": "chiamami puoi_chiamarmi",
        "phone": "il?_mio_nuovo?_telefono_è_il? il?_mio_nuovo?_numero_di_telefono_è_il? ~il?_mio_numero_è_il?",
        "mobile phone": "il?_mio_nuovo?_cellulare_è_il? il?_mio_nuovo?_numero_di_cellulare_è_il?",
        "e-mail": "la?_mia_nuova?_email/e-mail/mail_è il?_mio_nuovo?_indirizzo_email/e-mail_è",
        "birthday": "il?_mio_compleanno_è_il? sono_nato/nata_il la?_mia_data_di_nascita_è @_è_nato/nata_il",
        "age": "io?_ho_#_anni @_ha_#_anni",
        "time zone": "il?_mio_fuso_orario_è",
    },
    events={
        "home": """io?_mi_sono_appena?_trasferito/trasferita_a/ad/in/nel/nella ~ci_siamo_trasferiti_a/ad/in
        @_si_è_trasferito/trasferita_a/ad/in/nel/nella io?_mi_sono_trasferito/trasferita_da_*_a/ad/in""",
        "employer": "io?_ho_iniziato/cominciato_a_lavorare_per/presso",
    },
    ends={
        "home": """io?_non_vivo/abito_più_a/ad/in/nel/nella @_non_vive/abita_più_a/ad/in/nel/nella
        ~io?_non_vivo/abito_a/ad/in/nel/nella""",
        "employer": """io?_non_lavoro_più_per/presso/in/a/alla/da @_non_lavora_più_per/presso/in/a/alla/da
        ~io?_non_lavoro_per/presso/in/a/alla/da""",
    },
    statuses={
        "": "io?_sono @_è",
        "married": "sposato sposata",
        "single": "single celibe nubile",
        "divorced": "divorziato divorziata",
        "widowed": "vedovo vedova",
        "engaged": "fidanzato fidanzata",
        "separated": "separato separata",
    },
    joining="e ed ma perché",
    possessives="mio mia il_mio la_mia",
    copulas="è sono =si_chiama",
    attributes="""preferito preferita preferiti preferite nome cognome soprannome numero compleanno età taglia peso
    altezza budget""",
)

DUTCH = RelationTable(
    users="de_gebruiker gebruiker",
    genitives="van_de_gebruiker",
    selves="ik mijn mij me",
    subjects="ik",
    forms={
        "home": """ik_woon_in/te woon_ik_in/te ik_leef_in ik_ben_woonachtig_in mijn_nieuwe?_adres_is @_woont/leeft_in
        ik_woon_al/sinds_*_in sinds_*_woon_ik_in ~wij/we_wonen_in""",
        "employer": "ik_werk_bij/voor werk_ik_bij/voor mijn_nieuwe?_werkgever_is @_werkt_bij/voor",
        "job": "ik_werk_als werk_ik_als ~mijn_beroep_is ik_ben_#_van_beroep @_werkt_als",
        "name": "ik_heet mijn_naam_is @_heet",
        "form of address": "noem_mij/me",
        "phone": "mijn_nieuwe?_telefoonnummer_is ~mijn_nummer_is",
        "mobile phone": "mijn_nieuwe?_mobiele_nummer_is",
        "e-mail": "mijn_nieuwe?_email/e-mail/e-mailadres/emailadres/mailadres_is",
        "birthday": """mijn_verjaardag_is_op? ik_ben_jarig_op ik_ben_geboren_op ik_ben_op_#_geboren jarig_ben_ik_op
        mijn_geboortedatum_is""",
        "age": "ik_ben_#_jaar_oud? @_is_#_jaar_oud?",
        "time zone": "mijn_tijdzone_is",
    },
    events={
        "home": """ik_ben_net?/pas?_naar_#_verhuisd ik_ben_net?/pas?_verhuisd_naar ~wij/we_zijn_naar_#_verhuisd
        ~wij/we_zijn_verhuisd_naar ik_ben_van_*_naar_#_verhuisd ik_ben_verhuisd_van_*_naar ben_ik_naar_#_verhuisd
        @_is_naar_#_verhuisd @_is_verhuisd_naar""",
    },
    ends={
        "home": "ik_woon_niet_meer_in @_woont_niet_meer_in ~ik_woon_niet_in",
        "employer": "ik_werk_niet_meer_bij/voor @_werkt_niet_meer_bij/voor ~ik_werk_niet_bij/voor",
    },
    statuses={
        "": "ik_ben @_is",
        "married": "getrouwd gehuwd",
        "single": "single vrijgezel ongehuwd",
        "divorced": "gescheiden",
        "widowed": "weduwe weduwnaar",
        "engaged": "verloofd",
    },
    joining="en maar want omdat",
    possessives="mijn",
    copulas="is zijn =heet =heten",
    attributes="""lievelings- favoriete naam achternaam bijnaam nummer verjaardag leeftijd maat gewicht lengte budget
    doel""",
)

LANGUAGES = {"en": ENGLISH, "de": GERMAN, "es": SPANISH, "fr": FRENCH, "pt": PORTUGUESE, "it": ITALIAN, "nl": DUTCH}
"""The tables by language."""
