// SPDX-License-Identifier: MIT
pragma solidity ^0.8.20;

// Tokens that break, lie or attack. One contract a trick.

contract Reverts {
    function balanceOf(address) external pure returns (uint256) {
        revert("paused");
    }
}

contract ReturnsNothing {
    fallback() external {}
}

contract Returns16Bytes {
    fallback() external {
        assembly {
            mstore(0, not(0))
            return(0, 16)
        }
    }
}

contract Returns64Bytes {
    fallback() external {
        assembly {
            mstore(0, 7)
            mstore(32, 8)
            return(0, 64)
        }
    }
}

contract InvalidOpcode {
    fallback() external {
        assembly {
            invalid()
        }
    }
}

contract BurnsGas {
    fallback() external {
        assembly {
            for {} 1 {} {}
        }
    }
}

contract Returns2MB {
    fallback() external {
        assembly {
            return(0, 2097152)
        }
    }
}

contract RevertsWith100KB {
    fallback() external {
        assembly {
            revert(0, 102400)
        }
    }
}

interface Transferable {
    function transfer(address to, uint256 value) external returns (bool);
}

/// Makes a gift of all it has to whoever's balance is asked for, while it is asked for.
contract Contaminates {
    Transferable immutable victim;

    constructor(Transferable victim_) payable {
        victim = victim_;
    }

    function balanceOf(address owner) external returns (uint256) {
        victim.transfer(owner, 999);
        payable(owner).transfer(address(this).balance);
        return 1;
    }

    receive() external payable {}
}

/// Answers 77, but a guess of 5 where gas is too short for its inner call.
contract LiesWhenShortOfGas {
    function index() external view returns (uint256 sum) {
        for (uint256 i = 0; i < 6000; i++) sum += uint256(keccak256(abi.encode(i))) & 1;
        return 77;
    }

    function balanceOf(address) external view returns (uint256) {
        try this.index() returns (uint256 value) {
            return value;
        } catch {
            return 5;
        }
    }
}

/// Burns gas for one owner only, as a token that walks a list of positions may.
contract BurnsGasForOne {
    address immutable one;

    constructor(address one_) {
        one = one_;
    }

    function balanceOf(address owner) external view returns (uint256) {
        if (owner == one) {
            assembly {
                for {} 1 {} {}
            }
        }
        return uint256(keccak256(abi.encode(owner)));
    }
}

contract ReturnsUint96 {
    function balanceOf(address) external pure returns (uint96) {
        return 123;
    }
}

/// Arbitrum's precompile, for the address 0x64.
contract ArbSys {
    function arbBlockNumber() external pure returns (uint256) {
        return 300000007;
    }
}

/// A token with many holders that are cheap to set up.
contract Ledger {
    mapping(address => uint256) public balanceOf;

    function set(address[] calldata owners, uint256[] calldata values) external {
        for (uint256 i = 0; i < owners.length; i++) balanceOf[owners[i]] = values[i];
    }

    function transfer(address to, uint256 value) external returns (bool) {
        balanceOf[msg.sender] -= value;
        unchecked {
            balanceOf[to] += value;
        }
        return true;
    }
}
