"""What the simulated live shop sells, in words: 14 departments of 20 categories, their attributes, brands, cities.

A product is called after its brand, an attribute of its department, a style and its category: "Lumora linen summer
midi skirt". So the vector of a name says what the product is, and names of one department have words in common.
"""

from __future__ import annotations

DEPARTMENTS = {  # department: (middle price in TWD, categories, attributes)
    "women": (
        480,
        "midi skirt|wrap dress|blouse|cardigan|wide trousers|leggings|knit top|trench coat|denim jacket|jumpsuit|"
        "camisole|pleated skirt|blazer|hoodie|tunic|culottes|puffer vest|shirt dress|polo top|lounge set",
        "linen|cotton|ribbed|chiffon|lace|corduroy|stretch|floral",
    ),
    "men": (
        520,
        "oxford shirt|chino trousers|polo shirt|crew sweater|bomber jacket|cargo shorts|track pants|undershirt|"
        "boxer briefs|rain parka|flannel shirt|tank top|dress socks|leather belt|swim trunks|fleece pullover|"
        "waistcoat|work jacket|henley tee|thermal set",
        "cotton|quick-dry|brushed|slim|striped|checked|washed|woven",
    ),
    "children": (
        320,
        "romper|toddler pyjamas|school backpack|baby blanket|bib set|rain boots|sun hat|building blocks|picture book|"
        "plush bear|bath toy|stroller fan|lunch box|puzzle|toy car|swaddle|training cup|night light|play mat|mittens",
        "organic|soft|washable|dinosaur|rainbow|bunny|unicorn|padded",
    ),
    "shoes": (
        690,
        "running shoes|canvas sneakers|ankle boots|loafers|sandals|slippers|ballet flats|platform heels|hiking boots|"
        "flip-flops|slingbacks|mules|clogs|espadrilles|slip-ons|snow boots|water shoes|moccasins|brogues|wedges",
        "suede|mesh|cushioned|patent|waterproof|memory-foam|woven|non-slip",
    ),
    "bags": (
        760,
        "tote bag|crossbody bag|weekend bag|wallet|card holder|bucket bag|belt bag|laptop sleeve|clutch|drawstring bag|"
        "travel pouch|backpack|coin purse|key case|camera bag|shopping bag|messenger bag|garment bag|phone pouch|"
        "luggage strap",
        "leather|canvas|quilted|nylon|vegan|straw|embossed|foldable",
    ),
    "jewellery": (
        390,
        "hoop earrings|stud earrings|pendant necklace|charm bracelet|stacking ring|anklet|brooch|hair clip|"
        "pearl strand|bangle|choker|cufflinks|ear cuff|signet ring|locket|tennis bracelet|hairband|"
        "tassel earrings|toe ring|jewellery box",
        "silver|gold-plated|freshwater|crystal|jade|titanium|enamel|rose-gold",
    ),
    "beauty": (
        430,
        "face serum|sheet mask|lip tint|cushion foundation|eye cream|sunscreen|cleansing oil|mascara|brow pencil|"
        "hand cream|nail polish|perfume mist|toner|blusher|setting powder|makeup brush|lip balm|peeling gel|"
        "night cream|body lotion",
        "hydrating|brightening|hyaluronic|rose|ceramide|matte|vitamin|soothing",
    ),
    "care": (
        250,
        "shampoo|conditioner|body wash|toothpaste|toothbrush set|hair oil|bath salt|deodorant|razor|mouthwash|"
        "hair dye|foot mask|hand soap|cotton pads|sanitary pads|scalp tonic|floss picks|shaving foam|massage oil|"
        "heat patch",
        "herbal|tea-tree|charcoal|mint|amino|ginger|fragrance-free|refill",
    ),
    "kitchen": (
        540,
        "frying pan|rice cooker|chopping board|storage jar|chef knife|bento box|thermos flask|tea set|mixing bowl|"
        "steamer|soup pot|coffee dripper|dish rack|peeler|apron|baking tray|spice rack|cutlery set|water bottle|"
        "air fryer",
        "stainless|ceramic|non-stick|bamboo|glass|cast-iron|silicone|enamelled",
    ),
    "home": (
        460,
        "duvet cover|pillow|bath towel|curtain|rug|table lamp|laundry basket|storage box|wall clock|scented candle|"
        "mattress topper|cushion cover|shoe rack|mirror|vase|humidifier|clothes rack|door mat|photo frame|blanket",
        "velvet|cotton|cooling|minimalist|stackable|washable|rattan|latex",
    ),
    "cleaning": (
        190,
        "laundry capsules|dish soap|microfibre cloth|spin mop|toilet cleaner|bin bags|lint roller|descaler|"
        "kitchen wipes|fabric softener|drain gel|broom|sponge set|air freshener|stain remover|rubber gloves|"
        "window squeegee|mould spray|vacuum bags|dehumidifier pack",
        "lemon|concentrated|enzyme|antibacterial|plant-based|heavy-duty|lavender|economy",
    ),
    "food": (
        280,
        "pineapple cake|beef noodles|dried mango|oolong tea|drip coffee|nougat|fish floss|chilli oil|rice crackers|"
        "frozen dumplings|braised tofu|egg rolls|honey|mixed nuts|instant soup|seaweed snack|black tea|jerky|"
        "sesame paste|shrimp chips",
        "spicy|roasted|handmade|sugar-free|salted|mountain|aged|crispy",
    ),
    "health": (
        620,
        "fish oil|probiotics|collagen drink|vitamin tablets|yoga mat|resistance bands|knee support|massage gun|"
        "herbal tea|protein powder|foam roller|eye mask|posture belt|lutein capsules|turmeric capsules|dumbbell set|"
        "compression socks|sleep spray|bird nest drink|enzyme drink",
        "daily|advanced|vegan|high-strength|portable|natural|family|clinical",
    ),
    "gadgets": (
        580,
        "wireless earbuds|power bank|phone case|charging cable|desk fan|smart watch|bluetooth speaker|ring light|"
        "phone stand|hair dryer|mini projector|keyboard|webcam|memory card|screen protector|car charger|selfie stick|"
        "robot vacuum|electric kettle|mosquito lamp",
        "magnetic|foldable|fast-charge|usb-c|noise-cancelling|compact|rechargeable|waterproof",
    ),
}
_STYLES = """
classic summer winter travel everyday limited festive premium vintage modern family mini large gift pastel black
white navy sage coral
"""
_BRANDS = """
Lumora Haruka Pinewell Solenne Kitto Marisol Nordvik Yuzumi Belladon Orchida Tamsui Formosa Alpenrose Cendre
Mikado Opaline Verdana Saffra Tidewater Juniper Kohaku Lavoine Moonjar Nesta Palmira Quillon Roselle Sakurai
Talula Umbria Vellum Wildfern Xinyi Yara Zephyrine Amberly Brisa Corvina Dalisay Elmwood Fennick Ginkgo Hollis
Indira Jasmina Kestrel Linden Mapleton Noriko Olmeda
"""
STYLES, BRANDS = _STYLES.split(), _BRANDS.split()

CITIES = {  # 31, with their weights
    "New Taipei": 170, "Taichung": 120, "Kaohsiung": 117, "Taipei": 107, "Taoyuan": 97, "Tainan": 79,
    "Changhua": 53, "Pingtung": 34, "Yunlin": 28, "Hsinchu County": 25, "Miaoli": 23, "Chiayi County": 21,
    "Nantou": 21, "Yilan": 19, "Hsinchu": 19, "Keelung": 16, "Hualien": 14, "Chiayi": 11, "Taitung": 9,
    "Kinmen": 6, "Penghu": 5, "Lienchiang": 5, "Hong Kong": 12, "Macau": 5, "Singapore": 8, "Kuala Lumpur": 9,
    "Johor Bahru": 5, "Penang": 5, "Ipoh": 5, "Kuching": 5, "Bandar Seri Begawan": 5,
}  # fmt: skip
PAYMENTS = {  # 9
    "credit card": 34, "store payment": 22, "cash on delivery": 17, "bank transfer": 13, "mobile wallet": 8,
    "instalments": 3, "store credit": 2, "debit card": 1, "web ATM": 1,
}  # fmt: skip
SHIPPINGS = {  # 11
    "7-Eleven pickup": 33, "FamilyMart pickup": 21, "home delivery": 22, "Hi-Life pickup": 6, "OK Mart pickup": 4,
    "post parcel": 5, "cold chain": 4, "overseas air": 2, "overseas sea": 1, "warehouse pickup": 1, "courier": 1,
}  # fmt: skip
