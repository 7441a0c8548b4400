"""The contract, as read from the files in `contracts/`: clauses, operations, messages, and judges of shapes."""

from conformance.contract.clauses import Clause, Level
from conformance.contract.load import Contract, ContractError, load_contract
from conformance.contract.messages import Message
from conformance.contract.operations import Operation
from conformance.contract.shapes import Disagreement, Violation

__all__ = [
    "Clause",
    "Contract",
    "ContractError",
    "Disagreement",
    "Level",
    "Message",
    "Operation",
    "Violation",
    "load_contract",
]
