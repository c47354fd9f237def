"""The words that say nothing of what a text is about, in Portuguese and English, without accents.

Left out on purpose, for what they mean at the bedside: `us`, `am`, `his`, `it`.
"""

from __future__ import annotations

_PORTUGUESE = """
    a ao aos aquela aquelas aquele aqueles aquilo as ate cada com como da daquela daquele das de dela delas dele deles
    desde dessa dessas desse desses desta destas deste destes deve devem devo dever do dos durante e ela elas ele eles
    em entao entre era eram essa essas esse esses esta estao estar estas estava este estes eu faco fazer foi foram for
    forem fosse ha havia isso isto ja lhe lhes mais mas me mesma mesmas mesmo mesmos meu meus minha minhas muita muitas
    muito muitos na nao nas nem nessa nesse nesta neste no nos nossa nosso num numa o os ou para pela pelas pelo pelos
    per pode podem poder por porque posso qual quais quando quanta quantas quanto quantos que quem se seja sejam sem
    sempre ser sera seu seus so sob sobre sua suas tal tambem tem tendo tenha tenho ter teu tinha toda todas todo todos
    tua tudo um uma umas uns voce voces vos onde sao estou tais apos cujo cuja
    """
_ENGLISH = """
    a about above after again against all an and any are as at be because been before being below between both but by
    can cannot could did do does doing down during each few for from further had has have having her here hers him how
    i if in into is its itself just may me might more most must my no nor not of off on once only or other our ours out
    over own same she should so some such than that the their theirs them then there these they this those through to
    too under until up upon very was we were what when where which while who whom whose why will with would you your
    """
PORTUGUESE = frozenset(_PORTUGUESE.split())
ENGLISH = frozenset(_ENGLISH.split())
EITHER = PORTUGUESE | ENGLISH
