"""What the demo works on: `tinyshop`, a Python package with a bug and little else, and the beads that make more of it.

The instructions are fenced blocks for `examples/agents/literal.py`, a program that does what they say. Some beads do
not succeed at once: shop-3 fails its tests in the first attempt, shop-9 overruns its limit, shop-15 goes round in
circles until a human is asked, shop-16 asks a human itself, and the reviewers of shop-17 want a test first. What the
agent of shop-18 learns, that of shop-19 is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

BACKEND, FRONTEND = "backend-engineer", "frontend-engineer"
QA, DOCUMENTATION = "qa-engineer", "documentation-manager"
REVIEWER = "code-reviewer"
ROLES = (BACKEND, FRONTEND, QA, DOCUMENTATION, REVIEWER)
RETRIED, OVERRUN = "shop-3", "shop-9"
FILED, NAMED, LOOPING, ASKING, REVIEWED = "shop-13", "shop-14", "shop-15", "shop-16", "shop-17"
TEACHING, TAUGHT = "shop-18", "shop-19"
ANSWERS: Mapping[str, str] = {
    LOOPING: "Do not read on: write down what you know.",
    ASKING: "seagreen",
}
"""What the demo answers for a human."""

FILES: Mapping[str, str] = {
    "README.md": "# tinyshop\n\nA shop in a few lines. Run its tests with `make test`.\n",
    "Makefile": "test:\n\tpython3 -m unittest discover -q -s tests -t .\n",
    ".gitignore": "__pycache__/\n",
    "tinyshop/__init__.py": '"""A very small shop."""\n',
    "tinyshop/money.py": '''"""Amounts are whole cents."""


def price(cents: int) -> str:
    return f"{cents // 100}.{cents % 100} EUR"
''',
    "tests/__init__.py": "",
    "tests/test_money.py": """import unittest

from tinyshop.money import price


class PriceTest(unittest.TestCase):
    def test_cents_have_two_digits(self):
        self.assertEqual(price(1205), "12.05 EUR")
""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopBead:
    """A bead of the demo; `waits_for` are ids. Without a `role` it goes where its own words send it."""

    id: str
    title: str
    description: str
    role: str = ""
    labels: tuple[str, ...] = ()
    issue_type: str = "task"
    priority: int = 2
    waits_for: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


BEADS = (
    ShopBead(
        id="shop-1",
        title="Show cents with two digits",
        role=BACKEND,
        issue_type="bug",
        priority=0,
        description="""12.05 EUR is shown as 12.5 EUR, and the test that says so is red.

```replace tinyshop/money.py
<<<<<<< old
    return f"{cents // 100}.{cents % 100} EUR"
=======
    return f"{cents // 100}.{cents % 100:02} EUR"
>>>>>>> new
```
""",
    ),
    ShopBead(
        id="shop-2",
        title="Keep a catalogue of products",
        role=BACKEND,
        issue_type="feature",
        priority=1,
        waits_for=("shop-1",),
        description='''```file tinyshop/catalogue.py
"""What the shop sells: names, and prices in cents."""

PRODUCTS = {"apple": 35, "bread": 280, "cheese": 649}


def cents_of(name: str) -> int:
    return PRODUCTS[name]
```
''',
    ),
    ShopBead(
        id=RETRIED,
        title="Fill a cart",
        role=BACKEND,
        issue_type="feature",
        priority=1,
        waits_for=("shop-1",),
        description='''The first attempt forgets the amounts, and its test finds out; the second one corrects it.

```file tests/test_cart.py
import unittest

from tinyshop.cart import Cart


class CartTest(unittest.TestCase):
    def test_the_amount_counts(self):
        cart = Cart()
        cart.add(35, amount=4)
        self.assertEqual(cart.total(), 140)
```

```file tinyshop/cart.py attempt=1
"""What a customer wants."""


class Cart:
    def __init__(self) -> None:
        self.lines = []

    def add(self, cents: int, amount: int = 1) -> None:
        self.lines.append((cents, amount))

    def total(self) -> int:
        return sum(cents for cents, amount in self.lines)
```

```replace tinyshop/cart.py attempt=2
<<<<<<< old
        return sum(cents for cents, amount in self.lines)
=======
        return sum(cents * amount for cents, amount in self.lines)
>>>>>>> new
```
''',
    ),
    ShopBead(
        id="shop-4",
        title="Take an order",
        role=BACKEND,
        issue_type="feature",
        waits_for=("shop-2", "shop-3"),
        description='''```file tinyshop/order.py
"""A cart that somebody pays for."""

from tinyshop.cart import Cart
from tinyshop.catalogue import cents_of
from tinyshop.money import price


def bill(wanted: dict[str, int]) -> str:
    cart = Cart()
    for name, amount in wanted.items():
        cart.add(cents_of(name), amount)
    return price(cart.total())
```
''',
    ),
    ShopBead(
        id="shop-5",
        title="A page for the catalogue",
        role=FRONTEND,
        waits_for=("shop-2",),
        description='''```file tinyshop/pages/catalogue.py
"""The catalogue as a page."""

from html import escape

from tinyshop.catalogue import PRODUCTS
from tinyshop.money import price


def catalogue_page() -> str:
    rows = (f"<li>{escape(name)}: {price(cents)}</li>" for name, cents in PRODUCTS.items())
    return f"<ul class=catalogue>{''.join(rows)}</ul>"
```

```file tinyshop/pages/__init__.py
"""What a browser shows."""
```
''',
    ),
    ShopBead(
        id="shop-6",
        title="A page for the cart",
        role=FRONTEND,
        waits_for=("shop-3", "shop-5"),
        description='''```file tinyshop/pages/cart.py
"""The cart as a page."""

from tinyshop.cart import Cart
from tinyshop.money import price


def cart_page(cart: Cart) -> str:
    return f"<p class=total>Total: {price(cart.total())}</p>"
```
''',
    ),
    ShopBead(
        id="shop-7",
        title="Give the pages a style",
        role=FRONTEND,
        priority=3,
        waits_for=("shop-5",),
        description="""```file tinyshop/pages/style.css
.catalogue { list-style: none; padding: 0; }
.total { font-weight: bold; }
```
""",
    ),
    ShopBead(
        id="shop-8",
        title="Test the catalogue",
        role=QA,
        waits_for=("shop-2",),
        description="""```file tests/test_catalogue.py
import unittest

from tinyshop.catalogue import PRODUCTS, cents_of


class CatalogueTest(unittest.TestCase):
    def test_everything_has_a_price(self):
        for name in PRODUCTS:
            self.assertGreater(cents_of(name), 0)
```
""",
    ),
    ShopBead(
        id=OVERRUN,
        title="Look for slow pages",
        role=QA,
        waits_for=("shop-1",),
        metadata={"timeout": "3s"},
        description="""Three seconds are enough. The first attempt waits for a page that never comes, and is stopped.

```file docs/performance.md
# Performance

No page of the shop takes longer than a moment.
```

```sleep 60 attempt=1
```
""",
    ),
    ShopBead(
        id="shop-10",
        title="Test that a bill adds up",
        role=QA,
        waits_for=("shop-4",),
        description="""```file tests/test_order.py
import unittest

from tinyshop.order import bill


class BillTest(unittest.TestCase):
    def test_a_breakfast(self):
        self.assertEqual(bill({"apple": 2, "bread": 1}), "3.50 EUR")
```
""",
    ),
    ShopBead(
        id="shop-11",
        title="Explain prices in the README",
        role=DOCUMENTATION,
        priority=3,
        waits_for=("shop-1",),
        description="""```append README.md

## Prices

Amounts are whole cents; `tinyshop.money.price` shows them.
```
""",
    ),
    ShopBead(
        id="shop-12",
        title="Explain orders in the README",
        role=DOCUMENTATION,
        priority=3,
        waits_for=("shop-4", "shop-11"),
        description="""```append README.md

## Orders

`tinyshop.order.bill({"apple": 2})` says what two apples cost.
```
""",
    ),
    ShopBead(
        id=FILED,
        title="[auto-filed] KeyError: 'tea' in cents_of",
        labels=("auto-filed",),
        issue_type="bug",
        priority=1,
        waits_for=("shop-2",),
        description="""A program filed this, and named nobody. What it holds says who can mend it.

Traceback (most recent call last):
  File "/srv/tinyshop/catalogue.py", line 7, in cents_of
    return PRODUCTS[name]
KeyError: 'tea'

```replace tinyshop/catalogue.py
<<<<<<< old
"cheese": 649}
=======
"cheese": 649, "tea": 199}
>>>>>>> new
```
""",
    ),
    ShopBead(
        id=NAMED,
        title="Ask the QA engineer to test the style",
        waits_for=("shop-7",),
        description="""Its title names who does it.

```file tests/test_style.py
import unittest
from pathlib import Path


class StyleTest(unittest.TestCase):
    def test_the_total_has_a_style(self):
        self.assertIn(".total", Path("tinyshop/pages/style.css").read_text())
```
""",
    ),
    ShopBead(
        id=LOOPING,
        title="Find out what the shop is made of",
        role=DOCUMENTATION,
        waits_for=("shop-1",),
        description="""The agent reads one file again and again. It is stopped, twice, and then a human is asked.

```loop tinyshop/money.py attempt=1
```

```loop tinyshop/money.py attempt=2
```

```file docs/parts.md attempt=3
# Parts

Money, a catalogue, a cart, orders and pages.
```
""",
    ),
    ShopBead(
        id=ASKING,
        title="Give the total a colour",
        role=FRONTEND,
        waits_for=("shop-7",),
        description="""Nobody wrote down which colour, so the agent asks; its next run is told the answer.

```ask Which colour should the total have? attempt=1
```

```append tinyshop/pages/style.css attempt=2
.total { color: {{answer}}; }
```
""",
    ),
    ShopBead(
        id=REVIEWED,
        title="Refuse an empty order",
        role=BACKEND,
        labels=("workflow:feature",),
        issue_type="feature",
        priority=1,
        waits_for=("shop-4",),
        description="""It goes through the workflow `feature`: two reviewers read it, and want a test first.

```replace tinyshop/order.py attempt=1
<<<<<<< old
    cart = Cart()
=======
    if not wanted:
        raise ValueError("an order has to hold something")
    cart = Cart()
>>>>>>> new
```

```review reject There is no test of it. attempt=2
```

```file tests/test_empty_order.py attempt=3
import unittest

from tinyshop.order import bill


class EmptyOrderTest(unittest.TestCase):
    def test_it_is_refused(self):
        with self.assertRaises(ValueError):
            bill({})
```

```review approve It is tested now. attempt=4
```

```nothing It is in order. attempt=5
```
""",
    ),
    ShopBead(
        id=TEACHING,
        title="Write down how prices are kept",
        role=DOCUMENTATION,
        waits_for=("shop-1",),
        description="""Whoever does this finds out what others should know, and leaves it as a lesson.

```file docs/prices.md
# Prices

A price is a number of cents, everywhere but on a page.
```

```lesson Prices are kept in whole cents
Never a float: only `tinyshop.money.price` makes euros of them, for a page.
```
""",
    ),
    ShopBead(
        id=TAUGHT,
        title="Keep the price of a delivery",
        role=BACKEND,
        waits_for=(TEACHING,),
        description="""Another bead about prices: its run is given the lesson, and goes on only if it was.

```recall Prices are kept in whole cents
```

```file tinyshop/delivery.py
PRICE_OF_A_DELIVERY = 490
```
""",
    ),
)
