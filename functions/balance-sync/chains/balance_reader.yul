// Reads balances inside one eth_call that has no `to`: the node runs this as constructor code and
// answers what it returns. Unlike Multicall3 it is a sandbox. STATICCALL keeps a hostile balanceOf
// from moving funds into the wallets that are read after it; a gas allowance for each call and an
// output of 32 bytes keep it from starving or flooding its neighbours.
//
// Appended to the code, the question: gas allowance (4 bytes), then 40 bytes a row: token (0: native)
// and owner. Answer: chain id, block number, timestamp (32 bytes each), then for each row a status
// byte and what follows it; last the SHA-256 of question and answer, by which an answer that was
// changed on its way, or that belongs to another question, is told from the true one. Statuses:
//   0  a balance, 32 bytes
//   1  reverted: length (1 byte), so much of the revert data
//   2  no code at the address
//   3  an answer of another length than 32: that length, 32 bytes
//   4  too little gas: the allowance was used up, or nearly
//   5  not tried: the call's own gas was running out
object "BalanceReader" {
    code {
        let question := datasize("BalanceReader")
        codecopy(28, question, 4)
        let allowance := mload(0)

        // On Arbitrum and Orbit NUMBER is the L1 block; the L2 block is known to ArbSys, which alone
        // among the precompiles at 0x64 has code (BSC's would only eat the gas).
        let blockNumber := number()
        if extcodesize(0x64) {
            mstore(0, shl(224, 0xa3b1b31d))
            if staticcall(100000, 0x64, 0, 4, 0, 32) {
                if eq(returndatasize(), 32) { blockNumber := mload(0) }
            }
        }

        let asked := 0x80
        let answer := add(asked, sub(codesize(), question))
        codecopy(asked, question, sub(codesize(), question))
        let out := answer
        mstore(out, chainid())
        mstore(add(out, 32), blockNumber)
        mstore(add(out, 64), timestamp())
        out := add(out, 96)

        mstore(0, shl(224, 0x70a08231))
        for { let row := add(question, 4) } lt(row, codesize()) { row := add(row, 40) } {
            codecopy(0x40, row, 32)
            let token := shr(96, mload(0x40))
            codecopy(0x40, add(row, 20), 32)
            let owner := shr(96, mload(0x40))

            if iszero(token) {
                mstore8(out, 0)
                mstore(add(out, 1), balance(owner))
                out := add(out, 33)
                continue
            }

            // Room for the answer: 200 gas a byte when it is stored as code, 33 bytes a row at most.
            let remaining := sub(codesize(), row)
            let reserve := add(mul(add(sub(out, answer), remaining), 200), 200000)
            if lt(gas(), add(div(mul(allowance, 64), 63), reserve)) {
                mstore8(out, 5)
                out := add(out, 1)
                continue
            }

            mstore(4, owner)
            let before := gas()
            let success := staticcall(allowance, token, 0, 36, 0x40, 32)
            let used := sub(before, gas())

            // A call that ran short deeper down may still succeed, with a wrong number: an inner call
            // that fails for want of gas takes 63/64 of what there was. So whatever took three
            // quarters of its allowance is not believed.
            if iszero(lt(mul(used, 4), mul(allowance, 3))) {
                mstore8(out, 4)
                out := add(out, 1)
                continue
            }
            if iszero(success) {
                let length := returndatasize()
                if gt(length, 100) { length := 100 }
                // A contract's code may have 24,576 bytes: the later rows' values go before reasons.
                if gt(add(sub(out, answer), remaining), 24300) { length := 0 }
                mstore8(out, 1)
                mstore8(add(out, 1), length)
                returndatacopy(add(out, 2), 0, length)
                out := add(add(out, 2), length)
                continue
            }
            if eq(returndatasize(), 32) {
                mstore8(out, 0)
                mstore(add(out, 1), mload(0x40))
                out := add(out, 33)
                continue
            }
            if iszero(or(returndatasize(), extcodesize(token))) {
                mstore8(out, 2)
                out := add(out, 1)
                continue
            }
            mstore8(out, 3)
            mstore(add(out, 1), returndatasize())
            out := add(out, 33)
        }
        pop(staticcall(gas(), 2, asked, sub(out, asked), out, 32))
        return(answer, add(sub(out, answer), 32))
    }
}
