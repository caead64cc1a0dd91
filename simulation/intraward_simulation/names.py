"""Given names and surnames from twenty regions, for the synthetic patients, relatives and clinicians.

Own lists of common names; any likeness to a person is chance. Names from many countries are there
because de-identifiers find Anglo names far better than others (facts on de-identification, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Region:
    """Common names of a region; given names of women and men, and surnames."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    surnames: tuple[str, ...]


def _region(women: str, men: str, surnames: str) -> Region:
    return Region(
        *(tuple(part.replace("_", " ") for part in names.split()) for names in (women, men, surnames))
    )


REGIONS: dict[str, Region] = {
    "england": _region(
        "Alice Charlotte Emily Florence Harriet Margaret Poppy Sophie",
        "Alfred Edward George Harry Nigel Oliver Simon Thomas",
        "Ashworth Barlow Clegg Fairfax Hargreaves Lockwood Pemberton Smith Thornton Whitaker Young Rose",
    ),
    "scotland": _region(
        "Ailsa Catriona Eilidh Fiona Iona Kirsty Morag Shona",
        "Alasdair Callum Dougal Euan Fergus Hamish Lachlan Struan",
        "Buchanan Campbell Drummond Farquhar Galbraith MacLeod McAllister McTavish Menzies Ramsay "
        "Sinclair Urquhart",
    ),
    "ireland": _region(
        "Aoife Bridget Ciara Maeve Niamh Orla Saoirse Sinéad",
        "Brendan Cillian Declan Diarmuid Eoin Fionn Padraig Seamus",
        "Brennan Doherty Fitzgerald Gallagher Kavanagh McCarthy Murphy O'Brien O'Connor O'Sullivan "
        "Quinlan Sweeney",
    ),
    "usa": _region(
        "Ashley Brittany Denise Jasmine Kimberly Latoya Madison Tiffany",
        "Brandon Darnell Jayden Justin Kyle Marcus Travis Tyrone",
        "Anderson Booker Coleman Freeman Jefferson Johnson Mitchell Robinson Sanders Washington "
        "Williams Woods",
    ),
    "france": _region(
        "Aurélie Céline Chloé Delphine Élodie Geneviève Manon Sylvie",
        "Antoine Benoît Étienne Guillaume Jean-Luc Mathieu Pascal Thierry",
        "Beaumont Blanchard Chevalier Dubois Fontaine Lefèvre Marchand Mercier Moreau Renaud "
        "Rousseau Thibault",
    ),
    "germany": _region(
        "Annika Greta Heike Ingrid Katharina Liesel Sabine Ursula",
        "Dieter Friedrich Heinrich Jürgen Klaus Matthias Rainer Wolfgang",
        "Becker Brandt Fischer Hoffmann Kaiser Krüger Müller Schäfer Schneider Vogel Weber Zimmermann",
    ),
    "nordic": _region(
        "Astrid Birgit Elsa Freja Ingeborg Linnea Sigrid Solveig",
        "Anders Bjørn Erik Gunnar Lars Mikkel Rasmus Torbjörn",
        "Andersen Bergström Dahl Eriksen Gustafsson Halvorsen Lindqvist Nygaard Sandberg Sørensen "
        "Virtanen Øster",
    ),
    "italy": _region(
        "Alessandra Bianca Chiara Donatella Francesca Giulia Ludovica Rosaria",
        "Alessio Dario Enzo Giancarlo Lorenzo Matteo Salvatore Vincenzo",
        "Bianchi Conti De_Luca Esposito Ferrari Galli Lombardi Mancini Moretti Ricci Romano Santoro",
    ),
    "iberia": _region(
        "Beatriz Carmen Dolores Inês Joana Lucía Mariana Pilar",
        "Álvaro Diogo Felipe Gonçalo Ignacio Javier Rui Santiago",
        "Almeida Carvalho Domínguez Fernández García Herrera Iglesias Oliveira Pereira Romero "
        "Teixeira Vázquez",
    ),
    "latin_america": _region(
        "Alejandra Camila Esperanza Guadalupe Marisol Paloma Valentina Ximena",
        "Cristóbal Emiliano Fabián Joaquín Mauricio Octavio Ramiro Thiago",
        "Aguilar Castellanos Espinoza Figueroa Gutiérrez Hernández Montoya Quispe Ramírez Salazar "
        "Villanueva Zamora",
    ),
    "poland": _region(
        "Agnieszka Bożena Danuta Ewa Grażyna Katarzyna Małgorzata Zofia",
        "Bartosz Grzegorz Jacek Krzysztof Łukasz Mirosław Tomasz Wojciech",
        "Dąbrowski Jankowska Kaczmarek Kowalczyk Lewandowska Mazur Nowak Piotrowski Szymańska Wiśniewski "
        "Wójcik Zieliński",
    ),
    "balkans": _region(
        "Dragana Eleni Ioana Jelena Katerina Mirela Snežana Vesna",
        "Bogdan Dimitrios Goran Ilir Kostas Nikola Radu Zoran",
        "Constantinou Dimitrov Georgescu Hoxha Ionescu Jovanović Kovačević Marković Papadopoulos Petrović "
        "Popescu Stavros",
    ),
    "russia": _region(
        "Anastasia Ekaterina Galina Irina Ludmila Natalia Oksana Svetlana",
        "Aleksandr Dmitri Fyodor Grigori Mikhail Oleksandr Sergei Vladimir",
        "Bondarenko Fedorova Ivanov Kovalenko Kuznetsova Lebedev Morozova Orlov Popov Shevchenko "
        "Sokolova Volkov",
    ),
    "turkey": _region(
        "Ayşe Derya Elif Fatma Gülay Meryem Nuray Zeynep",
        "Ahmet Burak Emre Hakan Kemal Mehmet Orhan Yusuf",
        "Arslan Aksoy Çelik Demir Doğan Erdoğan Kaya Öztürk Polat Şahin Yildiz Yilmaz",
    ),
    "arab": _region(
        "Aisha Fatima Hanan Layla Mariam Noor Salma Yasmin",
        "Abdullah Faisal Hassan Ibrahim Khalid Mustafa Omar Tariq",
        "Abdelrahman Al-Farsi Al-Masri Bakri Darwish El-Sayed Haddad Khoury Mansour Najjar Saleh Zaki",
    ),
    "iran": _region(
        "Azadeh Farideh Golnaz Leila Mahsa Nasrin Parisa Shirin",
        "Arash Behrouz Dariush Farhad Hossein Kourosh Mehrdad Reza",
        "Ahmadi Bahrami Ebrahimi Farahani Ghorbani Hosseini Jafari Karimi Moradi Rahimi Tehrani Zand",
    ),
    "india": _region(
        "Ananya Deepika Gayatri Kavita Lakshmi Meenakshi Priyanka Sunita",
        "Arjun Harish Karthik Manoj Naveen Rajesh Suresh Vikram",
        "Banerjee Chatterjee Desai Deshmukh Gupta Iyer Krishnan Mukherjee Patel Raghunathan Singh Venkatesh",
    ),
    "east_asia": _region(
        "Hiroko Ji-woo Mei-ling Sakura Soo-jin Xiaomei Yuki Yoko",
        "Haruto Jian Kenji Min-jun Takeshi Wei Xiang Yong-ho",
        "Chen Fujimoto Hashimoto Huang Kim Liang Nakamura Park Tanaka Wang Yamada Zhao",
    ),
    "south_east_asia": _region(
        "Dewi Kanya Linh Maricel Ngoc Rosalinda Siti Thuy",
        "Agus Budi Duc Jomar Khanh Rizal Somchai Vinh",
        "Bautista Dela_Cruz Hidayat Lim Manalo Nguyen Pham Reyes Santoso Suwannarat Tran Wijaya",
    ),
    "africa": _region(
        "Adaeze Amina Chiamaka Efua Makena Nomvula Thandiwe Wanjiru",
        "Babatunde Chukwuemeka Kofi Kwame Musa Sipho Tendai Themba",
        "Abebe Adeyemi Boateng Diallo Dlamini Kamau Mbeki Mensah Ndlovu Nkosi Okafor Oyelaran",
    ),
}
