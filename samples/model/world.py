"""The training text of the sample model: stories and conversations about one small valley.

A document is made by filling a plan: first the facts are drawn (who, where, which thing, what
went wrong, how many), then sentences are written about those facts. So names, pronouns, colours
and sums agree over the whole document, and a model can only predict it well by looking far back.
A bigram model sees nothing of this.

Sentences are templates in a mini language:  [a|b|c] is one of a, b, c (nested; empty allowed) and
{name} is a fact. "a" becomes "an" where it must, and a sentence begins with a capital letter.

    documents(seed, mix) yields documents without end: a str is a story, a list of (role, text)
                       is a conversation; mix says how much there is of each kind.

Only `random.Random` is used, so the text depends on seed and mix, and on nothing else.
"""

import random
import re

# ---- the valley: what is always true -----------------------------------------------------------

# name, he or she, trade, place, what they make or have
PEOPLE = [
    ("Mara", "she", "baker", "bakery", "bread"),
    ("Tobin", "he", "miller", "mill", "flour"),
    ("Greta", "she", "keeper", "lighthouse", "the great lamp"),
    ("Sam", "he", "fisherman", "harbor", "fish"),
    ("Ines", "she", "teacher", "school", "books and chalk"),
    ("Hugo", "he", "smith", "forge", "nails and bells"),
    ("Wanda", "she", "gardener", "garden", "flowers"),
    ("Pell", "he", "librarian", "library", "old maps"),
    ("Otto", "he", "farmer", "farm", "milk and eggs"),
    ("Rosa", "she", "doctor", "clinic", "medicine"),
]
TRADE_WORK = {"baker": "bakes bread", "miller": "grinds flour", "keeper": "keeps the lamp burning",
              "fisherman": "catches fish", "teacher": "teaches the children",
              "smith": "makes nails and bells",
              "gardener": "grows flowers", "librarian": "looks after the books",
              "farmer": "feeds the cows",
              "doctor": "helps sick people"}

# place: (preposition, where a small thing can be hidden there)
PLACES = {
    "forest": ("in", ["under a tree", "behind a log", "in the leaves"]),
    "hill": ("on", ["in the tall grass", "behind a rock", "under a bush"]),
    "river": ("by", ["between the stones", "in the mud", "under the reeds"]),
    "market": ("at", ["under a table", "behind a cart", "in a box"]),
    "bridge": ("on", ["between two boards", "by the post", "in a corner"]),
    "pond": ("by", ["in the reeds", "under a leaf", "on a flat stone"]),
    "meadow": ("in", ["in the tall grass", "among the flowers", "under a bush"]),
    "beach": ("on", ["in the sand", "behind a rock", "under an old boat"]),
    "mill": ("at", ["behind a sack", "under the stairs", "by the wheel"]),
    "farm": ("on", ["in the hay", "behind the barn", "under a bucket"]),
    "school": ("at", ["under a desk", "behind the door", "on a shelf"]),
    "garden": ("in", ["under a leaf", "behind the gate", "among the flowers"]),
    "library": ("in", ["behind a book", "under a chair", "on a shelf"]),
    "harbor": ("at", ["in a net", "under a rope", "behind a barrel"]),
    "bakery": ("in", ["behind a sack", "under a table", "on a shelf"]),
}

BY_THE_SEA = ("beach", "harbor")

GIRLS = "Nora Lily Ella Mia Ruby Anna Zoe Ivy Hana Lena".split()
BOYS = "Ben Max Jack Leo Theo Oscar Kofi Ravi Emil Adam".split()
PETS = "Pip Dot Moss Fern Berry Hazel Tuck Milo Bramble Pepper Sunny Nutmeg".split()
ROBOTS = "Bolt Chip Cog Spark Dash Beep".split()

# kind: sound, home, food, young, legs, what it can do, what it cannot do, size (for comparing)
ANIMALS = {
    "fox": ("bark", "in a den", "mice and berries", "cub", 4, "run", "fly", 5),
    "rabbit": ("squeak", "in a burrow", "grass", "kit", 4, "hop", "fly", 4),
    "mouse": ("squeak", "in a small hole", "seeds", "pup", 4, "hide", "fly", 2),
    "cat": ("meow", "in a house", "fish", "kitten", 4, "climb", "fly", 4),
    "dog": ("bark", "in a house", "meat", "puppy", 4, "run", "fly", 5),
    "duck": ("quack", "by the pond", "water plants", "duckling", 2, "swim", "read", 3),
    "bear": ("growl", "in a cave", "honey and berries", "cub", 4, "climb", "fly", 8),
    "owl": ("hoot", "in a tree", "mice", "owlet", 2, "fly", "swim", 3),
    "hedgehog": ("snuffle", "in a pile of leaves", "beetles", "hoglet", 4, "roll", "fly", 3),
    "squirrel": ("chatter", "in a tree", "nuts", "kit", 4, "climb", "fly", 3),
    "frog": ("croak", "by the pond", "flies", "tadpole", 4, "jump", "fly", 2),
    "goat": ("bleat", "on the hill", "grass", "kid", 4, "climb", "fly", 6),
    "cow": ("moo", "on the farm", "grass", "calf", 4, "walk", "fly", 9),
    "horse": ("neigh", "in a stable", "hay", "foal", 4, "run", "fly", 9),
    "sheep": ("bleat", "in the meadow", "grass", "lamb", 4, "walk", "fly", 6),
    "bee": ("buzz", "in a hive", "nectar", "larva", 6, "fly", "swim", 1),
    "hen": ("cluck", "on the farm", "corn", "chick", 2, "walk", "swim", 3),
    "fish": (None, "in the water", "tiny plants", "fry", 0, "swim", "walk", 2),
    "spider": (None, "in a web", "flies", "spiderling", 8, "climb", "fly", 1),
}
HEROES = "fox rabbit mouse cat dog duck bear owl hedgehog squirrel frog goat".split()

COLORS = "red blue green yellow white black brown orange purple silver golden gray".split()
THINGS = ("kite ball boat hat scarf lamp drum bell key cup book basket bag coat button feather "
          "shell map "
          "flute box spoon flag mirror rope").split()
WHOLE = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight",
         9: "nine",
         10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen",
         16: "sixteen",
         17: "seventeen", 18: "eighteen", 19: "nineteen", 20: "twenty", 0: "zero"}
# many, one, where they are found
COUNTED = [("apples", "apple", "under the trees"), ("nuts", "nut", "in the forest"),
           ("shells", "shell", "on the beach"),
           ("eggs", "egg", "on the farm"), ("berries", "berry", "by the path"),
           ("flowers", "flower", "in the meadow"),
           ("pears", "pear", "in the garden"), ("stones", "stone", "by the river"),
           ("coins", "coin", "in an old box"),
           ("feathers", "feather", "on the hill")]
# dish, three things it needs
DISHES = [("apple pie", ("apples", "flour", "butter")), ("cake", ("eggs", "flour", "sugar")),
          ("soup", ("carrots", "onions", "salt")), ("bread", ("flour", "water", "salt")),
          ("pancakes", ("eggs", "milk", "flour")), ("berry jam", ("berries", "sugar", "lemon")),
          ("honey cake", ("honey", "eggs", "flour")), ("fish stew", ("fish", "potatoes", "onions"))]
SOURCE = {"apples": "garden", "flour": "mill", "butter": "farm", "eggs": "farm", "sugar": "market",
          "carrots": "garden",
          "onions": "garden", "salt": "market", "water": "river", "milk": "farm",
          "berries": "forest", "lemon": "market",
          "honey": "forest", "fish": "harbor", "potatoes": "farm"}
# broken thing, what is wrong, tool, what it does when it works
BROKEN = [("clock", "the hands did not move", "a tiny screwdriver", "ticked again"),
          ("cart", "the wheel had come off", "a hammer", "rolled down the road"),
          ("boat", "there was a hole in it", "a board and some glue", "floated again"),
          ("lamp", "it did not shine", "a new wire", "shone bright and warm"),
          ("bell", "it did not ring", "a strong rope", "rang over the whole valley"),
          ("gate", "it did not close", "two long nails", "opened and closed without a sound"),
          ("roof", "the rain came in", "a ladder and some boards", "kept the rain out"),
          ("mill wheel", "it did not turn", "a pot of grease", "turned round and round")]
# weather: as it is, what follows from it, what one wears or takes
WEATHER = {
    "sunny": ("the sun was shining", "the stones were warm", "a hat"),
    "rainy": ("it was raining", "the paths were wet", "an umbrella"),
    "windy": ("the wind was blowing", "the leaves flew through the air", "a scarf"),
    "snowy": ("it was snowing", "the hills were white", "warm boots"),
    "foggy": ("there was a thick fog", "nobody could see the bridge", "a lamp"),
    "cold": ("it was very cold", "there was ice on the pond", "a warm coat"),
}
SEASONS = {"spring": "the flowers open", "summer": "the days are long and warm",
           "autumn": "the leaves fall from the trees", "winter": "the pond freezes"}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = ("January February March April May June July August September October November "
          "December").split()
OPPOSITE = [("hot", "cold"), ("big", "small"), ("day", "night"), ("up", "down"), ("wet", "dry"),
            ("fast", "slow"),
            ("old", "young"), ("happy", "sad"), ("light", "dark"), ("open", "closed"),
            ("full", "empty"),
            ("long", "short"), ("hard", "soft"), ("early", "late"), ("loud", "quiet"),
            ("near", "far"),
            ("left", "right"), ("first", "last"), ("high", "low"), ("clean", "dirty"),
            ("strong", "weak"),
            ("begin", "end"), ("rich", "poor"), ("good", "bad"), ("inside", "outside"),
            ("push", "pull")]
MIX = [("red", "yellow", "orange"), ("blue", "yellow", "green"), ("red", "blue", "purple"),
       ("black", "white", "gray"), ("red", "white", "pink")]
COLOR_OF = {"the sky": "blue", "grass": "green", "snow": "white", "the night": "black",
            "a lemon": "yellow",
            "a carrot": "orange", "a crow": "black", "milk": "white", "a leaf in summer": "green",
            "a ripe strawberry": "red", "coal": "black", "the sun": "yellow", "a plum": "purple",
            "wood": "brown"}
WHY = [
    ("does it rain", "Water rises from the sea, makes clouds, and falls down again as rain."),
    ("is the sky blue", "Sunlight has many colors, and the air scatters the blue light the most."),
    ("do birds fly south", "Birds fly south because the winter is cold and there is little food."),
    ("do leaves fall", "Trees drop their leaves in autumn to save water in the winter."),
    ("does ice melt", "Ice melts because it gets warm and turns into water."),
    ("do we sleep", "We sleep so that the body can rest and the mind can sort the day."),
    ("do boats float", "A boat floats because it pushes water away, and the water pushes back."),
    ("does bread rise", "Bread rises because the yeast makes small bubbles in the dough."),
    ("do bees visit flowers", "Bees visit flowers to drink nectar, which they turn into honey."),
    ("is the sea salty",
     "Rivers carry salt from the rocks into the sea, and the salt stays there."),
    ("does the moon shine", "The moon shines because the light of the sun falls on it."),
    ("do we have night", "The earth turns, and at night our side looks away from the sun."),
    ("is fire hot", "Fire is hot because burning wood gives off heat and light."),
    ("do cats purr", "A cat purrs when it feels safe and happy."),
    ("does the wind blow", "Warm air rises, cold air moves in below it, and we call that wind."),
]
HOW = [
    ("make tea", ["Boil some water.", "Put the tea in a cup.", "Pour the water over it.",
                  "Wait for three minutes."]),
    ("plant a seed", ["Make a small hole in the earth.", "Put the seed in it.",
                      "Cover it with earth.", "Water it every day."]),
    ("make a snowman", ["Roll a big ball of snow.", "Put a small ball on top of it.",
                        "Add a carrot for the nose.",
                        "Give it a hat."]),
    ("bake bread", ["Mix flour, water, salt and yeast.", "Let the dough rise.", "Form a loaf.",
                    "Bake it until it is brown."]),
    ("build a kite", ["Tie two sticks into a cross.", "Glue paper over them.", "Add a long tail.",
                      "Tie a string to it and run."]),
    ("find a lost thing", ["Think where you saw it last.", "Go back there.",
                           "Look under and behind everything.",
                           "Ask a friend to help."]),
    ("make soup", ["Cut the carrots and onions.", "Put them in a pot with water.", "Add some salt.",
                   "Cook it for half an hour."]),
    ("wash your hands", ["Make your hands wet.", "Use some soap.", "Rub them and count to twenty.",
                         "Dry them well."]),
]
FEEL = [
    ("I am cold", "Put on a warm coat and drink some hot tea."),
        ("I am hungry", "Eat some bread and cheese, or an apple."),
    ("I am tired", "Then you should rest a little. Good night!"),
        ("I am sad", "I am sorry to hear that. Do you want to hear a story?"),
    ("I am bored", "Shall I tell you a story, or shall we count together?"),
        ("I am thirsty", "Drink a glass of cold water."),
    ("I am happy", "That is wonderful! What made you so happy?"),
        ("I am afraid of the dark", "Light a small lamp and think of a friend."),
    ("I am lost", "Stay where you are and ask somebody kind for help."),
        ("I am sick", "Go to bed, drink tea, and ask a doctor for help."),
    ("I am late", "Then run, but look out for carts on the bridge!"),
        ("I am wet", "Dry yourself by the fire and put on warm clothes."),
]
JOKES = [
    "Why did the duck cross the bridge? To get to the other pond!",
    "What did the sea say to the beach? Nothing, it just waved.",
    "Why was the clock so tired? It had been running all day.",
    "What has a neck but no head? A bottle!",
    "Why did the robot eat a lamp? It wanted a light meal.",
    "What gets wetter the more it dries? A towel!",
    "Why do bees hum? They do not know the words.",
    "What has teeth but cannot bite? A comb!",
    "Why was the book so warm? It had a good jacket.",
    "What goes up but never comes down? Your age!",
]
ME = [
    ("[Who are you?|What are you?|Tell me about yourself.|Introduce yourself.]",
     "I am Story, a very small language model. I tell stories about a little valley."),
    ("[What is your name?|Do you have a name?|What should I call you?]", "My name is Story."),
    ("[Who made you?|Where do you come from?|Who trained you?]",
     "The authors of sinter trained me on text that a small program wrote."),
    ("[How big are you?|Are you big?|How many numbers do you have?]",
     "I am tiny. I have about one million numbers and fit into two megabytes."),
    ("[What can you do?|What can you help me with?|What do you know?|Help!]",
     "I can tell short stories, answer simple questions, count, add small numbers, and remember "
     "what you tell me."),
    ("[Are you a human?|Are you alive?|Are you a person?]",
     "No, I am a program. I only work with words and numbers."),
    ("[Are you a robot?|Do you have a body?|Do you have hands?]",
     "No, I have no body. I am a small program that writes words."),
    ("[What is sinter?|What does sinter do?]",
     "Sinter is a compiler. It turns a model like me into plain C that runs without anything "
     "else."),
    ("[How do you work?|How do you write?]",
     "I read all the words so far, guess the next one, and do that again and again."),
    ("[Do you need the internet?|Are you online?|Do you need a network?]",
     "No. I run on this machine alone, without a network."),
    ("[Where do you run?|Where are you?]", "I run on your machine, as a small C program."),
    ("[What are you made of?|What is inside you?]",
     "I am made of four layers, many small numbers, and some plain C."),
    ("[Are you smart?|Do you know everything?|Can you be wrong?]",
     "I know only a small world, and I am often wrong outside of it."),
    ("[How old are you?|When is your birthday?]", "I do not count years. I am new every time I "
                                                  "start."),
    ("[Do you sleep?|Do you dream?|Are you tired?]", "I never sleep. I wait for your next word."),
    ("[Do you like stories?|What do you like?|What is your favorite thing?]",
     "I like stories with a happy end."),
    ("[Which language are you written in?|Are you written in C?|What is C?]",
     "C is a programming language. The program that runs me is written in it."),
    ("[Where is the valley?|What is the valley?|Tell me about the valley.]",
     "The valley lies between the hills and the sea. It has a mill, a school, a harbor, and kind "
     "people."),
]
# what the model must not pretend to know
UNKNOWN_THE = ("the capital of [France|China|Peru|Egypt|Canada|Japan|Spain|India]|the price of "
               "[gold|a car|a house|oil]|"
               "the [stock market|news of today|weather tomorrow|biggest city|longest war|fastest "
               "car|newest phone|best team]|"
               "quantum mechanics|democracy|electricity|a computer|an engine|an atom|the meaning "
               "of life")
UNKNOWN = UNKNOWN_THE + ("|[football|chess|tennis|politics|money|law|history|physics|chemistry|"
                         "music|computers|movies|cars]|"
                         "[Rome|London|Paris|Africa|America|Mars|Jupiter|Napoleon|Einstein|"
                         "Shakespeare|Mozart|Newton]|"
                         "[dinosaurs|airplanes|taxes|elections|the war|the king|trains|the stars|"
                         "rockets]")
COUPLETS = {
    "moon": "The moon is up, the moon is bright,\nit shines on all the hills tonight.",
    "sea": "The sea is wide, the sea is deep,\nit sings the little boats to sleep.",
    "rain": "The rain comes down on roof and tree,\nit runs from the river to the sea.",
    "fox": "The fox runs quickly through the snow,\nand where he goes we do not know.",
    "cat": "The cat lies in the morning sun\nand dreams of mice that run and run.",
    "wind": "The wind goes singing down the lane\nand knocks upon the window pane.",
    "winter": "The pond is ice, the hills are white,\nand every star is cold and bright.",
    "spring": "The flowers open, red and blue,\nand all the grass is green and new.",
    "night": "The day is done, the lamps are lit,\nthe owl wakes up and sings a bit.",
    "bird": "A little bird sat on a wall\nand sang a song to one and all.",
    "friend": "A friend is near when you are sad,\na friend is near when you are glad.",
    "bread": "The baker wakes before the day,\nthe smell of bread goes on its way.",
    "bear": "The bear sleeps in the winter long\nand wakes up when he hears a song.",
    "mill": "The mill wheel turns the whole day long\nand hums a slow and watery song.",
}


# ---- the mini language -------------------------------------------------------------------------

def expand(rng, text):
    """Replace each [a|b|c], innermost first, by one of its alternatives."""
    while "[" in text:
        text = re.sub(r"\[([^\[\]]*)\]", lambda m: rng.choice(m.group(1).split("|")), text)
    return text


def fill(rng, text, facts):
    text = expand(rng, text).format_map(facts)
    text = re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", re.sub(r" +", " ", text)).strip()
    return re.sub(r'(^"?|[.!?] "?|\n)([a-z])', lambda m: m.group(1) + m.group(2).upper(), text)


class Page:
    """A document in the making: facts, and the sentences written about them so far."""

    def __init__(self, rng):
        self.rng, self.facts, self.lines = rng, {}, []

    def say(self, *templates, p=1.0, **facts):
        """Write one of the templates, with probability p."""
        if self.rng.random() < p:
            self.lines.append(fill(self.rng, self.rng.choice(templates), {**self.facts, **facts}))

    def cast(self, key, who):
        """Facts of a character: for key "h" {h} the name, {he} {his} {him}, {hk} "fox"."""
        name, pron, kind = who
        e, his, him = {"he": ("he", "his", "him"), "she": ("she", "her", "her")}[pron]
        self.facts.update({key: name, key + "e": e, key + "is": his, key + "im": him,
                           key + "k": kind})

    def thing(self):
        rng = self.rng
        color, noun = rng.choice(COLORS), rng.choice(THINGS)
        self.facts.update(color=color, noun=noun, thing=color + " " + noun)

    def place(self, key, *other):
        """Draw a place that is none of `other`: for key "p" {p} "forest", {pin} "in the forest",
        {pto} "to the forest", {phide} "behind a log"."""
        name = self.rng.choice([p for p in PLACES if p not in [self.facts.get(o) for o in other]])
        prep, hide = PLACES[name]
        self.facts.update({key: name, key + "in": prep + " the " + name,
                           key + "to": "to the " + name,
                           key + "hide": self.rng.choice(hide)})


def new_name(rng):
    """A name that is in no list, so that names are copied and not chosen: "Rusty", "Dova"."""
    first = rng.choice("B Br C D Dr F Fl G H J K L M N P R S St T Tr V W Z".split())
    middle = rng.choice("a e i o u".split())
    middle += rng.choice("b d l ll m n nn r rt s st t v lm nd".split())
    return first + middle + rng.choice("a e i o y us in on el er".split())


def draw_character(rng, not_name=None, kind=None):
    """(name, he or she, kind); kind is girl, boy, robot or an animal."""
    while True:
        k = kind or rng.choice(["girl"] * 5 + ["boy"] * 5 + ["robot"] + HEROES)
        if k in ("girl", "boy"):
            who = rng.choice(GIRLS if k == "girl" else BOYS), "she" if k == "girl" else "he", k
        else:
            who = rng.choice(ROBOTS if k == "robot" else PETS), rng.choice(["he", "she"]), k
        if rng.new_names and rng.random() < rng.new_names:
            who = new_name(rng), *who[1:]
        if who[0] != not_name:
            return who


# ---- stories -----------------------------------------------------------------------------------

ADJ = "[little|small|young|kind|clever|curious|brave|quiet|cheerful]"


def opening(s):
    """Who, where they live and how the day begins: the facts that the plot stands on."""
    w = s.rng.choice(list(WEATHER))
    s.facts.update(weather=w, w0=WEATHER[w][0], w1=WEATHER[w][1], wear=WEATHER[w][2])
    s.say("Once upon a time there was a " + ADJ + " {hk} named {h}. {he} lived [|in a small house "
                                                  "]{pin}.",
          "There was once a " + ADJ + " {hk} called {h}, and {he} lived {pin}.",
          "{h} was a " + ADJ + " {hk}. {he} lived {pin} with {his} [mother|grandmother|old aunt|"
                               "brother|sister].",
          "In a small valley lived a " + ADJ + " {hk} named {h}. {his} house stood {pin}.",
          "{h} the {hk} lived {pin}, where the [mornings|days|evenings] were [quiet|long|bright].")
    s.say("One [morning|day|afternoon] {w0}, and {w1}.", "It was a {weather} [day|morning].",
          "[That morning|One day], {w0}.")
    s.say("{h} took {wear} and went out.", "\"what a {weather} day!\" said {h}.", p=0.3)


def ending(s):
    s.say("From that day on, {h} and {f} were [good|best|close] friends.",
          "They [laughed|smiled] and walked home together.",
          "That night {h} slept [well|very well] and dreamed of {dream}.",
          "And whenever {he} [saw|thought of] {dream}, {h} thought of {f}.",
          "{h} [learned|knew now] that {lesson}.",
          "\"thank you, {f},\" said {h}. \"{lesson}.\"",
          "{h} told {his} [mother|grandmother|friends] everything, and they all [laughed|smiled].")
    s.say("It had been a good day.", "The end.", "And that was the best part of the whole day.",
          p=0.35)


def plot_lost(s):
    s.facts.update(dream="the {thing}".format_map(s.facts), lesson="a good friend helps you look")
    s.place("q", "p"), s.place("r", "p", "q")
    s.say("{h} had a {thing}, and {he} [took|carried] it everywhere.",
          "{his} favorite thing was a {thing}.",
          "{h} loved {his} {thing} more than anything else.")
    s.say("But [that day|now] the {noun} was gone!",
          "Then {he} saw that the {noun} was not there[| any more].",
          "After a walk {qto}, {he} could not find the {noun}.")
    s.say("\"where is my {noun}?\" [cried|asked] {h}.", "{h} was very sad.",
          "{he} looked [everywhere|under the bed and behind the door].")
    s.say("{he} went {rto} and looked {rhide}, but the {noun} was not there.")
    if s.rng.random() < 0.5:
        s.say("Then {he} met {f} the {fk}. \"have you seen a {thing}?\" asked {h}.")
        s.say("\"[yes|I think so],\" said {f}. \"I saw a {noun} {qin}.\"",
              "\"no,\" said {f}, \"but I will help you look {qin}.\"")
    else:
        s.say("{f} the {fk} came by. \"why are you so sad?\" asked {f}. \"I lost my {thing},\" "
              "said {h}.")
        s.say("\"I saw a {noun} {qin},\" said {f}.", "\"did you look {qin}?\" asked {f}.",
              "\"I will help you look {qin},\" said {f}.")
    s.say("They went {qto} together, and there, {qhide}, was the {thing}!",
          "So they walked {qto}. {f} looked {qhide} and found the {thing}.")
    s.say("{h} was [so|very] happy[| and held the {noun} tight].", "{h} jumped for joy.")


def plot_gift(s):
    s.facts.update(dream="the {thing}".format_map(s.facts), lesson="it is good to give")
    s.place("q", "p")
    s.say("[It was the birthday of {f} the {fk}|{f} the {fk} had a birthday], and {h} wanted to "
          "give {fim} something.",
          "{h} wanted to make {f} the {fk} happy.")
    s.say("So {he} went {qto}[| to look for a gift].", "{he} walked {qto} and looked around.")
    s.say("{qhide} {he} found a {thing}.", "There {he} [saw|found] a {thing}. It lay {qhide}.")
    s.say("\"this {noun} is [perfect|just right] for {f},\" {he} [said|thought].",
          "{he} cleaned the {noun} [with care|until it was bright].")
    s.say("[In the evening|Then] {he} brought it to {f}. \"this is for you,\" said {h}.")
    s.say("{f} looked at the {color} {noun} and [smiled|laughed]. \"a {noun}! I always wanted "
          "one,\" {fe} said.",
          "\"a {thing}!\" cried {f}. \"how beautiful!\"")
    s.say("Then {f} gave {h} [a piece of cake|a warm hug|a big hug].", p=0.6)


def plot_count(s):
    rng = s.rng
    many, one, found = rng.choice(COUNTED)
    a, b = rng.randint(1, 7), rng.randint(1, 6)
    c = rng.randint(1, a + b)
    num = lambda n: "%s %s" % (WHOLE[n], one if n == 1 else many)
    s.facts.update(dream=many, lesson="it is good to share", many=many, found=found, a=num(a),
                   b=WHOLE[b],
                   ab=num(a + b), c=num(c), rest="no %s" % many if a + b == c else num(a + b - c),
                   left="none" if a + b == c else WHOLE[a + b - c], cw=WHOLE[c])
    s.say("{h} wanted to [find|pick up] some {many}, so {he} took a basket.",
          "{h} [liked|loved] {many}.")
    s.say("{found} {he} found {a}.", "{he} found {a} {found}.")
    s.say("Then {he} found {b} more.", "A little later {he} found {b} more.",
          "On the way back {he} found {b} more.")
    s.say("Now {he} had {ab}.", "\"now I have {ab},\" said {h}.", "{he} counted them: {ab}.")
    s.say("[On the bridge|On the way home] {he} met {f} the {fk}. {f} had no {many} at all.",
          "Then {f} the {fk} came [along|by]. \"I could not find any {many},\" said {f}.")
    s.say("So {h} gave {c} to {f}.", "\"take some of mine,\" said {h}, and gave {fim} {c}.")
    s.say("Now {h} had {rest} left, and {f} had {cw}.",
          "{f} had {cw} now, and {h} had {left} left.")


def plot_cook(s):
    rng = s.rng
    dish, needs = rng.choice(DISHES)
    needs = list(needs)
    rng.shuffle(needs)
    src = SOURCE[needs[0]]
    dish_a = dish if dish in ("soup", "bread", "pancakes", "berry jam") else "a " + dish
    s.facts.update(dream=dish, lesson="food tastes better with a friend", dish=dish, adish=dish_a,
                   x=needs[0], y=needs[1],
                   z=needs[2], srcin=PLACES[src][0] + " the " + src, srcto="to the " + src)
    s.say("{h} wanted to make {adish} for {f} the {fk}.",
          "\"today I will make {adish} with {f} the {fk},\" said {h}.",
          "{h} was hungry. \"let us make {adish},\" {he} said to {f} the {fk}.")
    s.say("For {adish} {he} needed {x}, {y} and {z}.", "\"I need {x}, {y} and {z},\" {he} said.")
    s.say("{he} had {y} and {z}, but {he} had no {x}.",
          "In the house {he} found {y} and {z}, but no {x}.")
    s.say("So {he} went {srcto} to get some {x}.",
          "\"we can get {x} {srcin},\" said {f}. So they went there.")
    s.say("With the {x} {he} came back to the kitchen, and {f} helped to cook.",
          "Soon {he} had the {x}, and the work could begin.")
    s.say("[|Soon ]the whole house smelled of {dish}.",
          "They waited and waited, and at last the work was done.")
    s.say("{h} and {f} sat at the table and ate [all of it|the {dish} together].")


def plot_repair(s):
    rng = s.rng
    noun, wrong, tool, works = rng.choice(BROKEN)
    who = rng.choice([p for p in PEOPLE if p[2] in ("smith", "miller", "keeper", "farmer",
                                                    "fisherman")])
    s.facts.update(dream="the " + noun, lesson="old things can be made new again", noun2=noun,
                   wrong=wrong, tool=tool,
                   works=works, n=who[0], ne=who[1], trade=who[2], home=who[3])
    s.say("But the {noun2} was broken: {wrong}.", "Something was wrong with the {noun2}. {wrong}.")
    s.say("{h} looked at it [for a long time|from all sides]. \"I cannot fix this alone,\" {he} "
          "said.", p=0.8)
    s.say("So {he} went to {n} the {trade} at the {home}.",
          "At the {home} {he} found {n}, the {trade}.")
    s.say("\"I have {tool},\" said {n}, \"but I need [somebody|a friend] with small hands.\"",
          "\"we need {tool},\" said {n}.")
    s.say("{f} the {fk} came to help, too.", "On the way back they met {f} the {fk}, who wanted "
                                             "to help.")
    s.say("They worked [all day|until the evening|for an hour]. {h} held the lamp, {n} used "
          "{tool}, and {f} sang a song.",
          "{n} used {tool}, {h} held the light, and {f} counted to ten.")
    s.say("At last the {noun2} {works}!", "Then the {noun2} {works}. Everybody [cheered|clapped].")


def plot_bird(s):
    rng = s.rng
    bird, days = rng.choice(["sparrow", "crow", "robin", "gull"]), rng.randint(2, 9)
    s.facts.update(dream="the " + bird, lesson="small help can be great help", bird=bird,
                   days=WHOLE[days],
                   cure=rng.choice(["seeds", "bread crumbs", "berries"]))
    s.place("q", "p")
    s.say("[On the way {qto}|{qin}] {h} found a {bird}. It could not fly, because its wing was "
          "hurt.",
          "{qin} a small {bird} lay {qhide}. Its wing was hurt.")
    s.say("\"poor {bird}!\" said {h}. {he} took it home with care.",
          "{h} put the {bird} in {his} basket and carried it home.")
    s.say("{f} the {fk} brought {cure}, and {h} gave it water.",
          "Every day {h} gave it {cure}, and {f} the {fk} [sang for it|told it stories].")
    s.say("After {days} days the {bird} could move its wing again.",
          "{days} days went by, and the wing of the {bird} got better.")
    s.say("They carried it back {qto} and opened the basket.", "Then {h} and {f} took it {qto}.")
    s.say("The {bird} flew up, [made a circle over them|high over the trees], and was gone.",
          "\"fly!\" said {h}, and the {bird} flew away.")
    s.say("The next [day|morning] there was a [blue|white|black] feather at the door of {h}.",
          p=0.5)


def plot_noise(s):
    rng = s.rng
    noise, cause = rng.choice([("a tapping", "a branch in the wind"), ("a hoot", "a baby owl"),
                               ("a scratching", "a small mouse"),
                               ("a knocking", "an old door"), ("a splash", "a fat frog"),
                               ("a ringing", "a bell on a goat")])
    s.facts.update(dream=cause, lesson="things are less scary in the light", noise=noise,
                   cause=cause, noisew=noise[2:],
                   light=rng.choice(["lamp", "candle", "lantern"]))
    s.place("q", "p")
    s.say("In the night {h} heard {noise}. It came from the {q}.",
          "[That|One] night there was {noise} from the {q}.")
    s.say("{h} was afraid. \"what is that?\" {he} whispered.",
          "{he} pulled the blanket over {his} head.")
    s.say("{he} woke {f} the {fk}. \"do you hear that?\" {he} asked.",
          "{f} the {fk} heard the {noisew}, too.")
    s.say("\"let us take the {light} and look,\" said {f}.",
          "\"we will go together,\" said {f}. {fe} took the {light}.")
    s.say("They went {qto}, step by step. The {noisew} grew louder[| and louder].")
    s.say("{f} held up the {light}, and {h} looked {qhide}.", p=0.7)
    s.say("And what was it? It was only {cause}!",
          "It was {cause}! {h} and {f} [laughed|had to laugh].")


def plot_race(s):
    s.facts.update(dream="the race", lesson="slow and steady wins the race")
    s.place("q", "p")
    s.facts["stop"] = s.rng.choice(["to pick some flowers", "to eat berries", "to take a nap",
                                    "to look at the clouds", "to talk to a friend"])
    s.say("{h} met {f} the {fk}. \"I am faster than you,\" said {f}.",
          "\"nobody is as fast as I am,\" said {f} the {fk} to {h}.")
    s.say("\"let us race {qto},\" said {h}.", "\"then we will run {qto},\" said {h}. \"who is "
                                              "there first, wins.\"")
    s.say("[They ran.|One, two, three, go!] {f} was [far ahead|much faster].",
          "They counted to three and ran. Soon {f} was far ahead.")
    s.say("\"I have a lot of time,\" thought {f}, and stopped {stop}.",
          "But it was a long way, and {f} stopped {stop}.")
    s.say("{h} did not stop. {he} went on and on.", "{h} was slow, but {he} went on, step by step.")
    s.say("When {f} came {qto}, {h} was already there.",
          "So {h} was [|the ]first {qin}, and {f} came [second|too late].")
    s.say("\"you won,\" said {f}. \"[well done|next time I will not stop]!\"")


def plot_seed(s):
    plant, color, fruit = s.rng.choice([("sunflower", "yellow", "seeds"),
                                        ("apple tree", "green", "apples"),
                                        ("pumpkin", "orange", "pumpkins"),
                                        ("rose", "red", "roses"), ("bean", "green", "beans"),
                                        ("pear tree", "green", "pears")])
    s.facts.update(dream="the " + plant, lesson="good things take time", plant=plant, pcolor=color,
                   fruit=fruit,
                   g=s.rng.choice(PEOPLE)[0])
    s.say("{g} gave {h} a small seed. \"plant it {pin},\" said {g}.",
          "{h} found a small seed in {his} pocket.")
    s.say("{h} made a hole in the earth, put the seed in it and gave it water.",
          "{he} planted the seed and watered it every day.")
    s.say("On Monday nothing happened. On Tuesday nothing happened.",
          "For a long time nothing happened.")
    s.say("\"it will never grow,\" said {h}. \"wait a little,\" said {f} the {fk}.",
          "{f} the {fk} said, \"You must be patient.\"")
    s.say("Then, one morning, there was a small green leaf!",
          "[After ten days|After a week] a green leaf came out of the earth.")
    s.say("The leaf grew [and grew|taller every day], and it became a {plant}.",
          "In the summer it was a {plant}, as tall as {f}.")
    s.say("{h} and {f} [looked at|were proud of] the {pcolor} {plant}, and {h} gave the first "
          "{fruit} to {f}.")


def plot_travel(s):
    while True:
        s.place("q", "p"), s.place("r", "p", "q")
        if s.facts["q"] not in BY_THE_SEA and s.facts["r"] not in BY_THE_SEA:
            break
    person = s.rng.choice(PEOPLE)
    s.facts.update(dream="the sea", lesson="a long way is short with a friend", n=person[0],
                   trade=person[2],
                   food=s.rng.choice(["bread and cheese", "an apple", "some cake",
                                      "nuts and berries"]))
    s.say("{h} had never seen the sea. \"today I will go there,\" {he} said.",
          "{h} wanted to see the sea.")
    s.say("{he} packed {food} in a {color} bag[| and went off].",
          "In {his} {color} bag {he} had {food}.")
    s.say("First {he} walked {qto}. There {he} met {f} the {fk}.",
          "{qin} {he} met {f} the {fk}, who was going the same way.")
    s.say("\"where are you going?\" asked {f}. \"to the sea,\" said {h}. \"may I come, too?\" "
          "asked {f}.", "\"I know the way,\" said {f}. \"I will come with you.\"")
    s.say("They came {rto}, and they shared {food}.", "Then they rested {rin} and ate {food}.")
    s.say("{n} the {trade} showed them the way.", "\"it is not far now,\" said {n} the {trade}.",
          p=0.7)
    s.say("At last they stood on the beach. The sea was [big and blue|wide and quiet|as wide as "
          "the sky].", "In the evening they saw the sea. \"it is so big!\" said {h}.")


def plot_sorry(s):
    s.facts.update(dream="the {thing}".format_map(s.facts), lesson="it is best to tell the truth")
    s.say("{f} the {fk} had a {thing}. \"please be careful with it,\" {fe} said.",
          "{h} took the {thing} of {f} the {fk} without asking.")
    s.say("{h} played with it [all day|near the water|in the rain], and then it [broke|fell and "
          "broke].", "But {h} ran too fast, fell down, and the {noun} broke.")
    s.say("{h} was afraid and hid the {noun} {phide}.",
          "\"nobody saw me,\" thought {h}, and hid it {phide}.")
    s.say("[In the evening|The next day] {f} asked, \"Where is my {noun}?\"",
          "Then {f} came and looked for the {color} {noun}.")
    s.say("First {h} said nothing. Then {he} said, \"I broke your {noun}. I am sorry.\"",
          "{h} began to cry. \"I broke it,\" {he} said. \"I am so sorry.\"")
    s.say("\"thank you for telling me,\" said {f}. \"we can fix it together.\"",
          "{f} was sad, but {fe} was not angry. \"we all make mistakes,\" {fe} said.")
    s.say("They took some glue and fixed the {thing}.",
          "{h} made a new {noun} for {f}, and it was {color}, too.")


PLOTS = [plot_lost, plot_gift, plot_count, plot_cook, plot_repair, plot_bird, plot_noise, plot_race,
         plot_seed, plot_travel,
         plot_sorry]


def story(rng, hero=None, place=None, noun=None, plot=None):
    """A story of 7 to 14 sentences; what is given is kept, the rest is drawn."""
    s = Page(rng)
    hero = hero or draw_character(rng)
    s.cast("h", hero)
    s.cast("f", draw_character(rng, hero[0]))
    s.thing()
    if noun:
        s.facts.update(noun=noun, thing=s.facts["color"] + " " + noun)
    s.place("p")
    if place:
        prep, hide = PLACES[place]
        s.facts.update(p=place, pin=prep + " the " + place, pto="to the " + place,
                       phide=rng.choice(hide))
    plot = plot or rng.choice(PLOTS)
    if plot is plot_travel and s.facts["p"] in BY_THE_SEA:
        plot = plot_sorry                           # who lives by the sea has seen it
    opening(s)
    first = len(s.lines)
    plot(s)
    ending(s)
    if rng.random() < 0.3:
        return " ".join(s.lines[:first]) + "\n\n" + " ".join(s.lines[first:])
    return " ".join(s.lines)


# ---- conversations -----------------------------------------------------------------------------
# Each function returns a list of turns (user, assistant), to be used alone or one after the other.

def qa(rng, q, a, /, **facts):
    return [(fill(rng, q, facts), fill(rng, a, facts))]


def turn_me(rng):
    q, a = rng.choice(ME)
    return qa(rng, q, a)


def turn_story(rng):
    hero = draw_character(rng)
    place, noun = rng.choice(list(PLACES)), rng.choice(THINGS)
    ask = "[Tell me a story|Please tell me a story|Write a story|I want to hear a story|A story]"
    kind = rng.randrange(6)
    if kind == 0:
        return [(expand(rng, ask) + rng.choice([".", "!", ", please."]), story(rng))]
    about = "a " + hero[2] + rng.choice([" named " + hero[0], " called " + hero[0], "", ""])
    if kind == 1:
        return qa(rng, ask + " about {about}.", "{s}", about=about, s=story(rng, hero))
    if kind == 2:
        plot = rng.choice([plot_lost, plot_gift, plot_sorry])
        return qa(rng, ask + " about {about} and a {noun}.", "{s}", about=about, noun=noun,
                  s=story(rng, hero, noun=noun, plot=plot))
    if kind == 3:
        return qa(rng, ask + " about {n} who lives {at}.", "{s}", n=hero[0],
                  at=PLACES[place][0] + " the " + place,
                  s=story(rng, hero, place=place))
    if kind == 4:
        word, plot = rng.choice([("a lost thing", plot_lost), ("a gift", plot_gift),
                                 ("a race", plot_race), ("a seed", plot_seed),
                                 ("a bird", plot_bird), ("the night", plot_noise),
                                 ("the sea", plot_travel), ("cooking", plot_cook)])
        return qa(rng, ask + " about {word}.", "{s}", word=word, s=story(rng, plot=plot))
    return qa(rng, ask + " about {n}.", "{s}", n=hero[0], s=story(rng, hero))


def turn_sum(rng):
    words = rng.random() < 0.2
    show = (lambda n: WHOLE[n]) if words else str
    op = rng.randrange(4)
    if op < 2:
        a = rng.randint(0, 10)
        b = rng.randint(0, 10)
        return qa(rng, "[What is|How much is|Please add:|] {a} [plus|plus|and|+] {b}?",
                  "{a} plus {b} is {c}.", a=show(a), b=show(b), c=show(a + b))
    if op == 2:
        a = rng.randint(0, 20)
        b = rng.randint(0, min(a, 10))
        return qa(rng, "[What is|How much is|] {a} [minus|minus|-] {b}?", "{a} minus {b} is {c}.",
                  a=show(a), b=show(b), c=show(a - b))
    a, b = rng.randint(0, 5), rng.randint(0, 5)
    if a * b > 20:
        words, show = False, str
    return qa(rng, "[What is|How much is|] {a} times {b}?", "{a} times {b} is {c}.", a=show(a),
              b=show(b), c=show(a * b))


def turn_count(rng):
    k = rng.randrange(5)
    a = rng.randint(1, 14)
    if k == 0:
        b = a + rng.randint(2, 6)
        return qa(rng, "[Count|Please count] from {a} to {b}.", "{l}.", a=a, b=b,
                  l=", ".join(str(i) for i in range(a, b + 1)))
    if k == 1:
        b = rng.randint(3, 12)
        return qa(rng, "[Count|Please count|Count for me] to {b}.", "{l}.", b=b,
                  l=", ".join(str(i) for i in range(1, b + 1)))
    if k == 2:
        return qa(rng, "What [comes|number comes] after {a}?", "After {a} comes {b}.", a=a, b=a + 1)
    if k == 3:
        return qa(rng, "What [comes|number comes] before {a}?", "Before {a} comes {b}.", a=a,
                  b=a - 1)
    b = a + rng.randint(1, 6)
    x, y = rng.sample([a, b], 2)
    if rng.random() < 0.5:
        return qa(rng, "[Which is more|Which is bigger|What is more], {x} or {y}?",
                  "{b} is more than {a}.", x=x, y=y, a=a, b=b)
    return qa(rng, "[Which is less|Which is smaller|What is less], {x} or {y}?",
              "{a} is less than {b}.", x=x, y=y, a=a, b=b)


def turn_animal(rng):
    kind = rng.choice(list(ANIMALS))
    sound, home, food, young, legs, can, cannot, size = ANIMALS[kind]
    f = dict(k=kind, home=home, food=food, young=young, legs=WHOLE[legs] if legs else "no", can=can,
             no=cannot, s=sound)
    j = rng.randrange(7)
    if j == 0 and sound:
        return qa(rng, "[What sound does a {k} make?|What does a {k} say?|How does a {k} sound?]",
                  "A {k} can {s}.", **f)
    if j <= 1:
        return qa(rng, "Where does a {k} live?", "A {k} lives {home}.", **f)
    if j == 2:
        return qa(rng, "What does a {k} eat?", "A {k} eats {food}.", **f)
    if j == 3:
        return qa(rng, "[What is a young {k} called?|What do you call a baby {k}?]",
                  "A young {k} is called a {young}.", **f)
    if j == 4:
        return qa(rng, "How many legs does a {k} have?", "A {k} has {legs} legs.", **f)
    if j == 5:
        if rng.random() < 0.5:
            return qa(rng, "Can a {k} {can}?", "Yes, a {k} can {can}.", **f)
        return qa(rng, "Can a {k} {no}?", "No, a {k} cannot {no}.", **f)
    other = rng.choice([o for o in ANIMALS if ANIMALS[o][7] != size])
    big, small = (kind, other) if size > ANIMALS[other][7] else (other, kind)
    if rng.random() < 0.5:
        return qa(rng, "[Which|What] is bigger, a {k} or a {o}?", "A {b} is bigger than a {l}.",
                  k=kind, o=other, b=big, l=small)
    return qa(rng, "[Which|What] is smaller, a {k} or a {o}?", "A {l} is smaller than a {b}.",
              k=kind, o=other, b=big, l=small)


def turn_fact(rng):
    k = rng.randrange(11)
    if k == 0:
        a, b = rng.sample(rng.choice(OPPOSITE), 2)
        return qa(rng, "What is the opposite of {a}?", "The opposite of {a} is {b}.", a=a, b=b)
    if k == 1:
        i, l = rng.randrange(12), MONTHS
        if rng.random() < 0.5:
            i, l = rng.randrange(7), DAYS
        what = "day" if l is DAYS else "month"
        if rng.random() < 0.6:
            return qa(rng, "[What|Which] {w} comes after {a}?", "After {a} comes {b}.", w=what,
                      a=l[i], b=l[(i + 1) % len(l)])
        return qa(rng, "[What|Which] {w} comes before {a}?", "Before {a} comes {b}.", w=what,
                  a=l[i], b=l[i - 1])
    if k == 2:
        x, y, z = rng.choice(MIX)
        x, y = rng.sample([x, y], 2)
        return qa(rng, "What [color ]do {x} and {y} make?".replace("[color ]", "[color |]"),
                  "{x} and {y} make {z}.", x=x, y=y, z=z)
    if k == 3:
        t, c = rng.choice(list(COLOR_OF.items()))
        return qa(rng, "What color is {t}?", "{t} is {c}.", t=t, c=c)
    if k == 4:
        q, a = rng.choice(WHY)
        return [("Why " + q + "?", a)]
    if k == 5:
        q, steps = rng.choice(HOW)
        words = ["First", "Then", "After that", "At last"]
        if rng.random() < 0.5:
            return qa(rng, "How [do I|can I|do you] {q}?", "{a}", q=q,
                      a="\n".join("%d. %s" % (i + 1, t) for i, t in enumerate(steps)))
        return qa(rng,
                  "[How do I|Tell me how to] {q}.".replace("How do I", "Please tell me how to"),
                  "{a}", q=q,
                  a=" ".join("%s, %s" % (w, t[0].lower() + t[1:]) for w, t in zip(words, steps)))
    if k == 6:
        q, a = rng.choice(FEEL)
        return [(q + rng.choice([".", ".", "!"]), a)]
    if k == 7:
        return [(expand(rng,
                        "[Tell me a joke.|Do you know a joke?|Make me laugh.|A joke, please.]"),
                 rng.choice(JOKES))]
    if k == 8:
        s, t = rng.choice(list(SEASONS.items()))
        return qa(rng, "[What happens in {s}?|What is {s} like?]", "In {s} {t}.", s=s, t=t)
    if k == 9:
        w = rng.choice(list(WEATHER))
        return qa(rng, "[What should I wear|What should I take|What do I need] when it is {w}?",
                  "When it is {w}, take {t}.", w=w, t=WEATHER[w][2])
    name, pron, trade, place, has = rng.choice(PEOPLE)
    f = dict(n=name, e=pron, t=trade, p=PLACES.get(place, ("at",))[0] + " the " + place, has=has,
             work=TRADE_WORK[trade])
    q, a = rng.choice([("Who is {n}?", "{n} is the {t}. {e} works {p}."),
                       ("Where does {n} work?", "{n} works {p}."),
                       ("What does {n} do?", "{n} {work}."),
                       ("Who works {p}?", "{n} the {t} works {p}."),
                       ("What does a {t} do?", "A {t} {work}."),
                       ("Who is the {t}?", "The {t} is {n}. {e} works {p}.")])
    return qa(rng, q, a, **f)


def turn_unknown(rng):
    the = rng.random() < 0.4
    return qa(rng, "What is {u}?" if the else "[Tell me about {u}.|What do you know about {u}?|"
                                              "Explain {u}.|Do you know {u}?]",
              "[I do not know that. I only know a small valley and its stories.|I am too small to "
              "know about that. Shall I tell you a story?]",
              u=expand(rng, "[" + (UNKNOWN_THE if the else UNKNOWN) + "]"))


def turn_poem(rng):
    about, first = rng.choice(list(COUPLETS.items()))
    second = rng.choice([c for c in COUPLETS.values() if c != first])
    return qa(rng, "[Write a poem|Write me a poem|Tell me a poem|I want a poem] about {x}.", "{p}",
              p=first + "\n" + second,
              x=about if about in ("rain", "winter", "spring",
                                   "bread") else rng.choice(["a ", "the "]) + about)


def turn_hello(rng):
    return qa(rng, *rng.choice([("[Hello|Hi|Hey|Good morning|Hello there][!|.|]",
                                 "Hello! [How can I help you?|Shall I tell you a story?]"),
                                ("How are you?", "I am well, thank you. How are you?"),
                                ("[Thank you|Thanks|Thank you very much][!|.]", "You are welcome!"),
                                ("[Goodbye|Bye|Good night|See you][!|.]",
                                 "Goodbye! Come back soon.")]))


def turn_where(rng):
    """A few sentences, then questions about them: the answers stand in the text."""
    s = Page(rng)
    a = draw_character(rng)
    b = draw_character(rng, a[0])
    s.cast("h", a), s.cast("f", b)
    s.thing(), s.place("p"), s.place("q", "p")
    s.facts["noun2"] = rng.choice([n for n in THINGS if n != s.facts["noun"]])
    s.facts["color2"] = rng.choice([c for c in COLORS if c != s.facts["color"]])
    lines = ["{h} has a {color} {noun}.", "{f} has a {color2} {noun2}.", "{h} is {pin}.",
             "{f} is {qin}."]
    rng.shuffle(lines)
    s.facts["text"] = " ".join(lines).format_map(s.facts)
    asks = [("Where is {h}?", "{h} is {pin}."), ("Where is {f}?", "{f} is {qin}."),
            ("Who has the {noun}?", "{h} has the {noun}."),
            ("Who has the {noun2}?", "{f} has the {noun2}."),
            ("What color is the {noun}?", "The {noun} is {color}."),
            ("What color is the {noun2}?", "The {noun2} is {color2}."),
            ("What does {h} have?", "{h} has a {color} {noun}."),
            ("What does {f} have?", "{f} has a {color2} {noun2}."),
            ("Who is {pin}?", "{h} is {pin}."), ("Who is {qin}?", "{f} is {qin}.")]
    asks = rng.sample(asks, rng.randint(1, 3))
    turns = [(fill(rng, "{text} " + asks[0][0], s.facts), fill(rng, asks[0][1], s.facts))]
    return turns + [(fill(rng, q, s.facts), fill(rng, t, s.facts)) for q, t in asks[1:]]


def turn_memory(rng):
    """The user says something about themselves and asks for it later."""
    name = rng.choice(GIRLS + BOYS)
    if rng.new_names and rng.random() < rng.new_names:
        name = new_name(rng)
    color, food = rng.choice(COLORS), rng.choice(DISHES)[0]
    pet, petname = rng.choice(HEROES), rng.choice(PETS)
    n, m = rng.randint(4, 12), rng.choice(list(PLACES))
    said = [("[My name is|I am called|I am] {v}.",
             "Hello, {v}! [Nice to meet you.|How can I help you?]", "What is my name?",
             "Your name is {v}.", name),
            ("My favorite color is {v}.", "[{v} is a beautiful color.|I like {v}, too.]",
             "What is my favorite color?", "Your favorite color is {v}.", color),
            ("I like to eat {v}.", "[{v} is very good.|Now I am hungry!]", "What do I like to eat?",
             "You like to eat {v}.", food),
            ("I have a {v}.", "[How nice! A {v} is a good friend.|A {v}! What is its name?]",
             "What animal do I have?", "You have a {v}.", pet),
            ("My pet is called {v}.", "{v} is a good name.", "What is my pet called?",
             "Your pet is called {v}.", petname),
            ("I am {v} years old.", "{v} is a good age.", "How old am I?", "You are {v} years old.",
             n),
            ("I live near the {v}.", "The {v} is a nice place.", "Where do I live?",
             "You live near the {v}.", m)]
    said = rng.sample(said, rng.randint(1, 3))
    turns = [qa(rng, s[0], s[1], v=s[4])[0] for s in said]
    if rng.random() < 0.4:
        turns += rng.choice([turn_sum, turn_animal, turn_fact, turn_count])(rng)
    rng.shuffle(said)
    return turns + [qa(rng, s[2], s[3], v=s[4])[0] for s in said]


def turn_repeat(rng):
    """Lists of words to say again: nothing but copying, from near and from far."""
    words = rng.sample(THINGS + COLORS + HEROES + GIRLS + BOYS + list(PLACES), rng.randint(3, 9))
    f = dict(w=", ".join(words), first=words[0], last=words[-1])
    i = rng.randrange(len(words) - 1)
    f.update(x=words[i], y=words[i + 1])
    return [(expand(rng, q).format_map(f), a.format_map(f)) for q, a in [rng.choice([
        ("[Say|Repeat|Repeat after me|Please say this again]: {w}.",
         "{w}."), ("[Say|Repeat|Repeat after me|Please say this again]: {w}.", "{w}."),
        ("[What is the first word|Which word is first]: {w}?", "The first word is {first}."),
        ("[What is the last word|Which word is last]: {w}?", "The last word is {last}."),
        ("{w}. [What|Which word] comes after {x}?", "After {x} comes {y}.")])]]


TURNS = [turn_me, turn_story, turn_sum, turn_count, turn_animal, turn_fact, turn_unknown,
         turn_hello, turn_poem, turn_where, turn_memory, turn_repeat]


class Mix:
    """How many documents are stories, how often each of TURNS comes, how many names are new."""

    def __init__(self, stories, turns, new_names):
        self.stories, self.turns, self.new_names = stories, turns, new_names


# the order is that of TURNS
EVERYTHING = Mix(0.34, [9, 12, 14, 7, 12, 14, 5, 4, 3, 12, 10, 10], 0.0)
QUESTIONS = Mix(0.10, [8, 10, 30, 6, 20, 26, 5, 3, 2, 18, 12, 4], 0.4)
BALANCED = Mix(0.25, [9, 14, 24, 7, 12, 18, 5, 4, 3, 14, 12, 6], 0.1)


def conversation(rng, weights):
    turns = []
    if rng.random() < 0.12:
        turns += turn_hello(rng)
    while True:
        turns += rng.choices(TURNS, weights)[0](rng)
        if rng.random() < 0.45 or len(turns) > 5:
            break
    out = []
    if rng.random() < 0.25:
        if rng.random() < 0.5:                      # a system message that gives the model a name
            who = draw_character(rng)
            kind = who[2]
            place = rng.choice(list(PLACES))
            at = PLACES[place][0] + " the " + place
            out.append(("system", fill(rng, "You are {n}, a {k}. You live {at}.",
                                       dict(n=who[0], k=kind, at=at))))
            ask = [("[Who are you?|What are you?|Introduce yourself.]",
                    "I am {n}, a {k}. I live {at}."), ("What is your name?", "My name is {n}."),
                   ("Where do you live?", "I live {at}.")]
            own = [qa(rng, q, a, n=who[0], k=kind, at=at)[0] for q,
                   a in rng.sample(ask, rng.randint(1, 2))]
            turns = own + [t for t in turns if not any(w in t[0] for w in (" you", "your"))]
        else:
            out.append(("system", expand(rng, "[You are a helpful assistant.|You are a small and "
                                              "friendly model.|You tell stories.|You are Story.]")))
    for q, a in turns:
        if rng.random() < 0.12:
            q = q[0].lower() + q[1:]                # people type as they like
        if rng.random() < 0.12:
            q = q.rstrip("?.!")
        out += [("user", q), ("assistant", a)]
    return out


def documents(seed, mix=EVERYTHING):
    rng = random.Random(seed)
    rng.new_names = mix.new_names
    while True:
        yield story(rng) if rng.random() < mix.stories else conversation(rng, mix.turns)


if __name__ == "__main__":
    import sys
    docs = documents(int(sys.argv[1]) if len(sys.argv) > 1 else 1,
                     QUESTIONS if "questions" in sys.argv else EVERYTHING)
    for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 12):
        d = next(docs)
        print(d if isinstance(d, str) else "\n".join("%9s: %s" % turn for turn in d), end="\n\n")
