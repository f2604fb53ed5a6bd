"""The grammar of ``$filter``, LALR(1): OData 4.01 Part 2, section 5.1, as far as listings follow it.

Words are read whatever their case. Conditions and operands share one grammar, as they do in the standard, where a
property that is true or false is a condition; ``check`` tells them apart.
"""

from __future__ import annotations

from typing import Final

GRAMMAR: Final = r"""
?start: disjunction

?disjunction: conjunction | conjunction (_OR conjunction)+ -> some
?conjunction: negation | negation (_AND negation)+ -> every
?negation: comparison | NOT negation -> nope
?comparison: operand
    | operand OPERATOR operand -> comparison
    | operand IN "(" literal ("," literal)* ")" -> among
?operand: literal | path | call | quantified | "(" disjunction ")"

path: NAME ("/" NAME)*
call: NAME "(" (disjunction ("," disjunction)*)? ")"
quantified: NAME ("/" NAME)* "/" QUANTIFIER "(" (NAME ":" disjunction)? ")"

literal: NULL | BOOLEAN | GUID | MOMENT | DATE | NUMBER | MEMBER | TEXT

_OR.5: /or(?!\w)/i
_AND.5: /and(?!\w)/i
NOT.5: /not(?!\w)/i
IN.5: /in(?!\w)/i
OPERATOR.5: /(eq|ne|gt|ge|lt|le|has)(?!\w)/i
QUANTIFIER.5: /(any|all)(?=\s*\()/i
NULL.5: /null(?!\w)/i
BOOLEAN.5: /(true|false)(?!\w)/i
GUID.9: /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])/i
MOMENT.8: /\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,12})?)?(Z|[+ -]\d\d:\d\d)(?!\w)/i
DATE.7: /\d{4}-\d\d-\d\d(?![\w-])/
NUMBER.6: /-?\d+(\.\d+)?(?![\w.])/
MEMBER.6: /[A-Za-z_]\w*(\.[A-Za-z_]\w*)+'([^']|'')*'/
TEXT.6: /'([^']|'')*'/
NAME: /[A-Za-z_]\w*/

%ignore /[ \t]+/
"""
