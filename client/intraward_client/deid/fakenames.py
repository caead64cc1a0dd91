"""Invented names: given names by letter and kind, surnames and towns put together from parts.

Public lists, the same at every site (DESIGN section 6). Surnames and towns are made of a beginning and an
ending, so that there are two thousand of them and hardly one stands in a note already.
"""

from __future__ import annotations

from intraward_client.deid.lexicon import listed
from intraward_client.deid.wordlists import word_list

COMMON_FEMALE = listed(
    """abigail adriana agnes aisha alexandra alice alicia alina alma amanda amelia amy ana andrea
    angela anita anjali ann anna anne annie antonia ashley aya barbara beatrice beth betty
    brenda brittany camila carla carmen carol caroline carolyn catherine charlotte cheryl chloe
    christina christine clara claire claudia crystal cynthia daniela danielle dawn deborah debra
    diana diane donna doris dorothy edith elaine eleanor elena elisa elizabeth ella ellen elsie
    emily emma erica erin esther eva evelyn fatima fiona florence frances gabriela gemma
    gertrude gloria grace guadalupe hannah heather helen helena ida ines irene irina isabel
    isabella ivy jacqueline jane janet janice jean jennifer jessica joan joanna joyce juanita
    judith judy julia julie karen kate katherine kathleen kathryn katie kavita kelly kimberly
    kristen larisa latoya laura lauren layla leila lena leticia lillian linda lisa lois lori
    lorraine louise lucia lucy luisa luz lydia madison maeve margaret maria mariam marie marilyn
    marjorie marta martha mary maya megan mei melissa mercedes mia michelle mildred mina miriam
    monica nadia nancy naomi natalia natalie nicole nina noor nora norma olga olivia pamela
    patricia paula pauline pearl phyllis pilar priya rachel rebecca renee rhonda rita rosa
    rosario rose ruby ruth sally samantha sandra sara sarah sharon sheila shirley silvia simone
    sofia sonia sophia sophie stella stephanie sue susan svetlana sylvia tanya tara tatiana
    teresa theresa tiffany tina valerie vanessa vera veronica victoria viola virginia vivian
    wendy yasmin yuki yuko zainab zoe"""
)
COMMON_MALE = listed(
    """aaron abdul abraham adam adrian ahmed alan albert alberto alejandro alex alexander alfred ali
    allan amir andre andreas andrei andres andrew angelo anthony antonio arjun arthur austin
    barry benjamin bernard bill billy bob boris brandon brian bruce bruno bryan carl carlos chad
    charles chris christian christopher clarence claude craig curtis dale daniel darius david
    dean dennis derek diego dmitri donald douglas dylan earl eddie edgar eduardo edward edwin
    elijah emmanuel enrique eric ernest ethan eugene evan felix fernando francis francisco frank
    franklin fred frederick gabriel gary george gerald gilbert giovanni giuseppe glenn gordon
    graham greg gregory guillermo gustavo guy hamid hans hao harold harry hassan hector henry
    herbert herman hiroshi howard hugh hussein ian ibrahim igor isaac ivan jack jacob jaime jake
    james jan jason javier jeff jeffrey jeremy jerry jesse jesus jim jimmy joe joel johan john
    johnny jon jonathan jorge jose joseph joshua juan julian julio justin karl kazuo keith ken
    kenji kenneth kevin khalid kofi kurt kyle kwame lars larry lawrence lee leo leon leonard
    lewis liam louis luca lucas luigi luis luke manuel marcel marco marcus mario mark martin
    marvin matthew maurice max melvin michael miguel mikhail mohamed mohammed morris muhammad
    nathan nicholas nicolas nikolai norman oleg oliver omar oscar pablo patrick paul pedro peter
    philip phillip pierre rafael rahul raj rajesh ralph ramon ramona randy raul ravi ray raymond
    ricardo richard rick robert roberto rodney roger ronald ross roy russell ryan salvador sam
    samir samuel sanjay scott sean sergei sergio seth shane sidney simon stanley stefan stephen
    steve steven stuart sven tariq ted terry theodore thomas tim timothy toby todd tom tomas
    tony travis troy tyler vijay victor vincent vladimir walter warren wayne wei wesley william
    willie yusuf zachary"""
)
_FEMALE = """Aurelia Annika Adeline Althea Avelina Bettina Brielle Bronwyn Belinda Berenice Cordelia
    Celestine Clarissa Corinna Cosima Davina Delphine Dorothea Drusilla Damaris Elspeth Evelina
    Ernestine Emmeline Eudora Felicity Fenella Flavia Fiorella Friederike Georgette Ginevra
    Griselda Guinevere Gwendolyn Harriet Hermione Henrietta Hildegard Honora Imogen Ingrid
    Isolde Ilona Ianthe Jocasta Josephina Juliana Jessamine Junia Katrina Keziah Kerensa Klara
    Kirsten Lavinia Leonora Lucinda Linnea Lysandra Marguerite Millicent Mirabel Morwenna
    Minerva Nerissa Ninette Nicoletta Nadine Natalina Octavia Odette Olympia Ottilie Ophelia
    Philippa Petronella Philomena Perpetua Pandora Quintina Querida Quenby Quiana Quintessa
    Rosalind Rowena Raphaela Romilda Rosamund Seraphina Sabina Sidonie Silvana Sunniva Tabitha
    Theodora Thomasina Tamsin Titania Ursula Undine Ulrika Umbriel Ursulina Verena Violetta
    Viviana Valentina Venetia Winifred Wilhelmina Willemina Wendeline Walburga Xanthe Xenia
    Ximena Xaviera Xandra Ysolde Yolanda Yvonne Yvette Ysabel Zelda Zinnia Zuleika Zenobia
    Zerlina"""
_MALE = """Ambrose Alaric Auberon Anselm Aldous Barnaby Benedict Bertram Balthazar Brendan Cedric Caspian
    Crispin Clement Cornelius Desmond Dorian Dunstan Dominic Drummond Edmund Everard Ellery
    Emeric Erasmus Fabian Ferdinand Florian Fergus Fridolin Gideon Godfrey Gareth Gervase Gregor
    Hadrian Horatio Humphrey Hieronymus Hartwig Ignatius Inigo Isidore Ivor Ichabod Jasper
    Jerome Jonas Julius Justus Kenelm Konrad Kendrick Kasimir Kilian Lambert Leander Lionel
    Lucian Ludovic Magnus Maximilian Mortimer Melchior Marius Nathaniel Neville Nepomuk Norbert
    Nestor Oberon Orlando Osbert Oswald Ottokar Peregrine Percival Phineas Pascal Parzival
    Quentin Quincy Quinlan Quillon Quirin Roderick Rupert Reginald Rufus Roland Septimus
    Sebastian Silas Sylvester Sigmund Tarquin Thaddeus Tobias Tristan Titus Ulric Uriah Umberto
    Ulysses Ulbrecht Valerian Vaughan Vitus Volkmar Virgil Wallace Wendell Wilfred Winston
    Wystan Xavier Xerxes Xander Xanthus Ximenes Yorick Yves Yannick Yestin Yorath Zachariah
    Zebedee Zander Zeno Zoltan"""
_BEGINNINGS = """Ash Alder Ambers Arn Birch Brack Brindle Burn Cold Cran Clover Carl Dun Dover Dray Dell Elm
    Elver Eller Edger Fair Fox Fen Farn Green Glen Grims Gold Hay Haver Hazel Holl Ingle Ivy
    Iron Isling Jas Junip Jarl Jem Kestrel Knoll Kel Kirk Lark Linden Lang Loft Mill Marl Mere
    Moss North Nether Nut Nar Oak Orch Otter Over Pen Pear Pike Plum Quarr Quill Quen Quist
    Ridge Raven Rush Rook Scar Stan Sedge Stoke Thorn Tarn Tall Thistle Under Upper Ul Ush Venn
    Vale Ver Vin West Wil Wether Wren Xan Xen Xar Xel Yarrow Yel Yardle Yar Zell Zan Zer Zil"""
ENDINGS = (
    *("wood", "well", "field", "ham", "ton", "combe", "dale", "hurst", "ley", "more"),
    *("bourne", "ridge", "stead", "wick", "worth", "thorpe", "by", "den", "gate", "ford"),
)


def _by_letter(text: str) -> dict[str, tuple[str, ...]]:
    names = text.split()
    return {
        letter: tuple(name for name in names if name[0] == letter) for letter in sorted({n[0] for n in names})
    }


FEMALE, MALE, BEGINNINGS = _by_letter(_FEMALE), _by_letter(_MALE), _by_letter(_BEGINNINGS)


def invented(letter: str, number: int, common: str = "") -> str:
    """A name that begins with ``letter``, chosen by ``number``.

    Args:
        letter: A to Z.
        number: large and uniform.
        common: the lower-case name that it stands for; a given name stays one, of its kind.
    """
    pools = [pool for names, pool in ((COMMON_FEMALE, FEMALE), (COMMON_MALE, MALE)) if common in names]
    if not pools and common in word_list("given_names"):
        pools = [FEMALE, MALE]
    if pools:
        number, pool = divmod(number, len(pools))
        return pools[pool][letter][number % len(pools[pool][letter])]
    number, ending = divmod(number, len(ENDINGS))
    return BEGINNINGS[letter][number % len(BEGINNINGS[letter])] + ENDINGS[ending]
