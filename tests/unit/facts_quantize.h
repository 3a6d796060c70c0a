/* Made by facts_quantize.py; see there. */
ROUNDED("token_embd.weight", 1024, 128, 0xf6488cd8b8d4a813)
ROUNDED("blk.0.attn_k.weight", 64, 128, 0x4464b7f33b7fefb2)
ROUNDED("blk.3.ffn_down.weight", 128, 384, 0x4647c242f5131418)
#undef ROUNDED
