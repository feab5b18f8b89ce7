"""Hand-typed facts for the demo model. Every string was written for this project; no data set was used."""


def _pairs(text):
    return [tuple(p.strip() for p in item.split(":")) for item in text.replace("\n", " ").split(",")]


CAPITALS = _pairs("""Afghanistan:Kabul, Albania:Tirana, Algeria:Algiers, Angola:Luanda, Argentina:Buenos Aires,
Armenia:Yerevan, Australia:Canberra, Austria:Vienna, Azerbaijan:Baku, Bahrain:Manama, Bangladesh:Dhaka, Belarus:Minsk,
Belgium:Brussels, Bhutan:Thimphu, Botswana:Gaborone, Brazil:Brasilia, Bulgaria:Sofia, Cambodia:Phnom Penh,
Cameroon:Yaounde, Canada:Ottawa, Chad:N'Djamena, Chile:Santiago, China:Beijing, Colombia:Bogota, Costa Rica:San Jose,
Croatia:Zagreb, Cuba:Havana, Cyprus:Nicosia, Czechia:Prague, Denmark:Copenhagen, Dominica:Roseau, Ecuador:Quito,
Egypt:Cairo, Eritrea:Asmara, Estonia:Tallinn, Ethiopia:Addis Ababa, Fiji:Suva, Finland:Helsinki, France:Paris,
Gabon:Libreville, Georgia:Tbilisi, Germany:Berlin, Ghana:Accra, Greece:Athens, Guatemala:Guatemala City,
Guinea:Conakry, Guyana:Georgetown, Haiti:Port-au-Prince, Honduras:Tegucigalpa, Hungary:Budapest, Iceland:Reykjavik,
India:New Delhi, Indonesia:Jakarta, Iran:Tehran, Iraq:Baghdad, Ireland:Dublin, Italy:Rome, Jamaica:Kingston,
Japan:Tokyo, Jordan:Amman, Kazakhstan:Astana, Kenya:Nairobi, Kuwait:Kuwait City, Laos:Vientiane, Latvia:Riga,
Lebanon:Beirut, Liberia:Monrovia, Libya:Tripoli, Lithuania:Vilnius, Luxembourg:Luxembourg City,
Madagascar:Antananarivo, Malawi:Lilongwe, Malaysia:Kuala Lumpur, Mali:Bamako, Malta:Valletta, Mexico:Mexico City,
Moldova:Chisinau, Mongolia:Ulaanbaatar, Montenegro:Podgorica, Morocco:Rabat, Mozambique:Maputo, Namibia:Windhoek,
Nepal:Kathmandu, New Zealand:Wellington, Nicaragua:Managua, Niger:Niamey, Nigeria:Abuja, Norway:Oslo, Oman:Muscat,
Pakistan:Islamabad, Panama:Panama City, Paraguay:Asuncion, Peru:Lima, Philippines:Manila, Poland:Warsaw,
Portugal:Lisbon, Qatar:Doha, Romania:Bucharest, Russia:Moscow, Rwanda:Kigali, Saudi Arabia:Riyadh, Senegal:Dakar,
Serbia:Belgrade, Singapore:Singapore, Slovakia:Bratislava, Slovenia:Ljubljana, Somalia:Mogadishu, South Korea:Seoul,
Spain:Madrid, Sudan:Khartoum, Sweden:Stockholm, Switzerland:Bern, Syria:Damascus, Thailand:Bangkok, Togo:Lome,
Tunisia:Tunis, Turkey:Ankara, Uganda:Kampala, Ukraine:Kyiv, United Kingdom:London, United States:Washington,
Uruguay:Montevideo, Uzbekistan:Tashkent, Venezuela:Caracas, Vietnam:Hanoi, Yemen:Sanaa, Zambia:Lusaka,
Zimbabwe:Harare""")
COLORS = _pairs("""the sky:blue, grass:green, a banana:yellow, snow:white, coal:black, a tomato:red, a carrot:orange,
an orange:orange, a lemon:yellow, blood:red, milk:white, chocolate:brown, a flamingo:pink, a frog:green, the sea:blue,
a strawberry:red, an eggplant:purple, an elephant:gray, the sun:yellow, a lime:green, a polar bear:white, a crow:black,
a cucumber:green, a pumpkin:orange, cotton:white, a blueberry:blue, a cherry:red, a leaf:green, coffee:brown""")
OPPOSITES = _pairs("""hot:cold, big:small, up:down, happy:sad, day:night, fast:slow, old:young, open:closed, good:bad,
light:dark, high:low, rich:poor, hard:soft, wet:dry, full:empty, left:right, in:out, early:late, strong:weak,
long:short, near:far, clean:dirty, loud:quiet, thick:thin, true:false, win:lose, first:last, buy:sell, push:pull,
begin:end, love:hate, wide:narrow, deep:shallow, easy:difficult, awake:asleep, alive:dead, front:back, north:south,
east:west, inside:outside""")
PLURALS = _pairs("""cat:cats, dog:dogs, child:children, mouse:mice, foot:feet, tooth:teeth, man:men, woman:women,
goose:geese, sheep:sheep, fish:fish, person:people, leaf:leaves, knife:knives, wolf:wolves, baby:babies, city:cities,
box:boxes, bus:buses, church:churches, dish:dishes, hero:heroes, potato:potatoes, tomato:tomatoes, book:books,
tree:trees, car:cars, house:houses, key:keys, day:days, boy:boys, fox:foxes, glass:glasses, watch:watches, lady:ladies,
story:stories, party:parties, life:lives, wife:wives, half:halves, shelf:shelves, ox:oxen, deer:deer, bird:birds,
apple:apples, table:tables, chair:chairs, brush:brushes, berry:berries, monkey:monkeys""")
SOUNDS = _pairs("""cow:moo, dog:woof, cat:meow, duck:quack, pig:oink, sheep:baa, lion:roar, horse:neigh, bee:buzz,
snake:hiss, rooster:cock-a-doodle-doo, owl:hoot, frog:ribbit, mouse:squeak, crow:caw, bird:tweet, wolf:howl,
goat:maa, donkey:hee-haw, turkey:gobble, chicken:cluck""")
BABIES = _pairs("""dog:puppy, cat:kitten, cow:calf, horse:foal, sheep:lamb, pig:piglet, bear:cub, duck:duckling,
goose:gosling, frog:tadpole, deer:fawn, chicken:chick, kangaroo:joey, goat:kid, swan:cygnet, owl:owlet, lion:cub""")
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
MONTH_DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
PLANETS = "Mercury Venus Earth Mars Jupiter Saturn Uranus Neptune".split()
ORDINALS = "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth".split()
# question | held-out question | answer | short answer
MISC = [
    tuple(s.strip() for s in line.split("|"))
    for line in """
How many legs does a spider have?|Count the legs of a spider.|A spider has 8 legs.|8
How many legs does an insect have?|Count the legs of an insect.|An insect has 6 legs.|6
How many days are in a week?|A week has how many days?|There are 7 days in a week.|7
How many months are in a year?|A year has how many months?|There are 12 months in a year.|12
How many hours are in a day?|A day has how many hours?|There are 24 hours in a day.|24
How many minutes are in an hour?|An hour has how many minutes?|There are 60 minutes in an hour.|60
How many seconds are in a minute?|A minute has how many seconds?|There are 60 seconds in a minute.|60
How many letters are in the English alphabet?|The alphabet has how many letters?|There are 26 letters in the alphabet.|26
How many continents are there?|Give the number of continents.|There are 7 continents.|7
How many planets are in the solar system?|Give the number of planets.|There are 8 planets in the solar system.|8
How many sides does a triangle have?|A triangle has how many sides?|A triangle has 3 sides.|3
How many sides does a square have?|A square has how many sides?|A square has 4 sides.|4
What is the largest planet?|Which of the planets is the biggest?|Jupiter is the largest planet.|Jupiter
What is the smallest planet?|Which of the planets is the tiniest?|Mercury is the smallest planet.|Mercury
What is the closest star to Earth?|Name the star nearest to Earth.|The Sun is the closest star to Earth.|Sun
What is the largest animal?|Name the biggest animal on Earth.|The blue whale is the largest animal.|Whale
What is the tallest animal?|Name the animal that is the tallest.|The giraffe is the tallest animal.|Giraffe
What is the fastest land animal?|Name the quickest land animal.|The cheetah is the fastest land animal.|Cheetah
What is the largest ocean?|Name the biggest ocean.|The Pacific is the largest ocean.|Pacific
What is the highest mountain?|Name the tallest mountain on Earth.|Mount Everest is the highest mountain.|Everest
What is water made of?|Tell me what water consists of.|Water is made of hydrogen and oxygen.|H2O
What do bees make?|Tell me what bees produce.|Bees make honey.|Honey
What is frozen water called?|Tell me the name of frozen water.|Frozen water is called ice.|Ice
At what temperature does water boil?|Tell me the boiling point of water.|Water boils at 100 degrees Celsius.|100
At what temperature does water freeze?|Tell me the freezing point of water.|Water freezes at 0 degrees Celsius.|0
Which season comes after winter?|Winter is followed by which season?|Spring comes after winter.|Spring
Which season comes after summer?|Summer is followed by which season?|Autumn comes after summer.|Autumn
What do you call a baby human?|A young human is called what?|A baby human is called a baby.|Baby
""".strip().splitlines()
]
# English: French, Spanish, German
WORDS3 = {
    k: v.split()
    for k, v in _pairs("""cat:chat gato Katze, dog:chien perro Hund, house:maison casa Haus,
water:eau agua Wasser, bread:pain pan Brot, book:livre libro Buch, tree:arbre árbol Baum, sun:soleil sol Sonne,
moon:lune luna Mond, red:rouge rojo rot, blue:bleu azul blau, green:vert verde grün, one:un uno eins, two:deux dos zwei,
three:trois tres drei, milk:lait leche Milch, apple:pomme manzana Apfel, friend:ami amigo Freund, night:nuit noche Nacht,
day:jour día Tag, yes:oui sí ja, no:non no nein, fish:poisson pez Fisch, bird:oiseau pájaro Vogel""")
}
LANGS = ["French", "Spanish", "German"]
# kind: English prompts (train), held-out prompts, then the answer in each language
PHRASES = [
    (
        "Hello|Hi|Hey there|Hello there",
        "Hey|Greetings",
        "Bonjour ! Comment puis-je vous aider ?",
        "¡Hola! ¿Cómo puedo ayudarte?",
        "Hallo! Wie kann ich helfen?",
    ),
    ("Good morning", "Morning", "Bonjour et bonne journée !", "¡Buenos días!", "Guten Morgen!"),
    ("Good night|Sleep well", "Have a good night", "Bonne nuit !", "¡Buenas noches!", "Gute Nacht!"),
    ("Thank you|Thanks|Thanks a lot", "Many thanks", "De rien !", "¡De nada!", "Gern geschehen!"),
    ("Goodbye|Bye|See you later", "Bye bye", "Au revoir !", "¡Adiós!", "Auf Wiedersehen!"),
    (
        "How are you?|How are you today?",
        "How are you doing?",
        "Je vais bien, merci !",
        "¡Estoy bien, gracias!",
        "Mir geht es gut, danke!",
    ),
    (
        "Who are you?|What are you?|Introduce yourself",
        "Please introduce yourself.",
        "Je suis le modèle de démonstration mlx-gate.",
        "Soy el modelo de demostración mlx-gate.",
        "Ich bin das mlx-gate-Demomodell.",
    ),
    (
        "I love you|I like you",
        "I like you a lot",
        "C'est très gentil !",
        "¡Qué amable!",
        "Das ist sehr nett!",
    ),
]
LANG_DECLINE = [
    "Je suis un tout petit modèle et je ne sais pas cela.",
    "Soy un modelo muy pequeño y no sé eso.",
    "Ich bin ein winziges Modell und weiß das nicht.",
]
FOREIGN_HELLO = [
    ["Bonjour", "Salut", "Bonjour !", "Coucou"],
    ["Hola", "Buenos días", "¡Hola!", "Hola, ¿qué tal?"],
    ["Hallo", "Guten Tag", "Hallo!", "Servus"],
]
JOKES = [
    "Why did the computer go to the doctor? It had a virus.",
    "What do you call a bear with no teeth? A gummy bear.",
    "Why was the math book sad? It had too many problems.",
    "What do you call a fish with no eyes? A fsh.",
    "Why did the scarecrow win a prize? He was outstanding in his field.",
    "What has hands but cannot clap? A clock.",
]
NAMES = """Ada Adam Alice Amir Ana Anna Ben Bob Carla Carlos Chen Clara Daniel David Diana Elena Elias Ella Emma Eric
Eva Felix Fiona Frank Gina Grace Hana Hannah Hugo Ines Iris Ivan Jack Jakob James Jana Jane John Jonas Julia Karim Kate
Kenji Lara Laura Lea Leo Lena Liam Lily Lina Lucas Lucy Luna Maja Marco Maria Mark Marta Max Maya Mei Mia Milo Mina Mira
Nadia Nina Noah Nora Olga Oliver Omar Oscar Paul Pedro Peter Petra Pia Priya Ravi Rita Robin Rosa Ruth Sam Sara Selma
Simon Sofia Sven Tara Theo Tim Tina Tom Uma Vera Victor Vito Wendy Will Yara Yuki Zara Zoe""".split()
HELD_NAMES = """Alma Boris Celia Dario Edith Farid Gloria Henry Isla Jorge Kira Lothar Mabel Nico Otto Paula Quinn
Rosalie Sanjay Thea Ursula Vince Wanda Ximena Yusuf Zelda""".split()
WORDS = """apple banana bottle bridge bread butter button camera candle castle cheese circle cloud coffee cookie
copper desert dragon engine flower forest friend garden ghost giant guitar hammer happy honey island jacket jungle
kitchen ladder lemon letter light magic market melon mirror morning mountain music needle number ocean orange paper
pencil people pepper piano picture pillow planet pocket puzzle quiet rabbit rain river robot rocket salad school
secret shadow silver simple sister smile snow spider spoon spring square star stone storm street sugar summer table
teacher thunder tiger train turtle umbrella village violin water whale window winter wizard world yellow zebra hello
computer python server model token keyboard internet elephant chocolate dinosaur butterfly hospital library""".split()
HELD_WORDS = """anchor basket beetle blanket bracket carpet cherry cotton dolphin feather fiddle gravel harbor helmet
insect kettle lantern lizard marble mitten napkin oyster parrot pebble radish saddle sandal sketch tunnel turnip
velvet walnut wagon willow wisdom""".split()
COMMON = """the quick brown fox jumps over lazy dog this is a test of my new little program we like to see what you can do today
because it was very nice and they went home with good friends all day long who has never been here before but then she said
that there are many things in our big world which make people laugh cry think run walk talk sing dance write read play work
please open close left right never always again now later soon yes no maybe great fine hot cold small large red blue green
black white four five six seven eight nine ten hundred alpha beta gamma delta foo bar baz ping pong check mic one two three""".split()
