// Phi-1, 1.5 and 2: https://huggingface.co/microsoft/phi-2, Transformers' models/phi. Unlike a llama it has LayerNorms
// with biases, attention and MLP side by side on one norm, a rotary that turns a part of each head, and an MLP without
// a gate. All of it is below: this plugin uses tare::api and nothing else.
#include <cmath>
#include <string>
#include <vector>

#include "core/api/api.hpp"

namespace {
using tare::Activation;
using tare::Axis;
using tare::Config;
using tare::Dim;
using tare::Graph;
using tare::Product;
using tare::Tensor;

// A weight and its bias, as the checkpoint calls them: "fc1.weight", "fc1.bias". `out` may be several dimensions.
Product product(const Graph& g, const std::string& name, tare::Shape out, Dim in) {
  tare::Shape matrix = out;
  matrix.push_back(in);
  return {g.weight(name + ".weight", std::move(matrix)), g.weight(name + ".bias", std::move(out))};
}
Product norm(const Graph& g, const std::string& name, Dim hidden) {
  return {g.weight(name + ".weight", {hidden}), g.weight(name + ".bias", {hidden})};
}

// Every width, angle and constant comes out of config.json. A key that is missing is a problem with this file's line,
// collected by Config; the trace goes on to find the next one.
struct Sizes {
  Dim hidden, ffn, vocab, heads, kv_heads;
  int64_t head_width, rotary_width;
};
Sizes sizes(const Config& c, const Graph& g) {
  const int64_t heads = c.count("num_attention_heads"), hidden = c.count("hidden_size");
  const auto kv_heads = static_cast<int64_t>(c.get("num_key_value_heads", static_cast<double>(heads)));
  if (hidden % heads != 0)
    g.error(tare::text("'hidden_size' is ", hidden, ", expected a multiple of 'num_attention_heads' = ", heads));
  const int64_t width = std::max<int64_t>(1, hidden / heads);
  // PhiConfig's default; Transformers 5.x writes it into a group of its own. Half a pair cannot be turned.
  const double part = c.get("partial_rotary_factor", c.get("rope_parameters.partial_rotary_factor", 0.5));
  const auto turned = static_cast<int64_t>(static_cast<double>(width) * part);
  return {.hidden = hidden,
          .ffn = {c.count("intermediate_size"), Axis::ffn},
          .vocab = {c.count("vocab_size"), Axis::vocab},
          .heads = {heads, Axis::heads},
          .kv_heads = {kv_heads, Axis::kv_heads},
          .head_width = width,
          .rotary_width = turned / 2 * 2};
}

// 1 / theta^(2j / width): RoFormer, arXiv 2104.09864.
tare::Rotary rotary(const Config& c, const Graph& g, int64_t width) {
  const double theta = c.get("rope_theta", c.get("rope_parameters.rope_theta", 10000));
  std::vector<float> frequencies;
  for (int64_t j = 0; j < width / 2; ++j)
    frequencies.push_back(
        static_cast<float>(1 / std::pow(theta, 2 * static_cast<double>(j) / static_cast<double>(width))));
  return {.pairs = tare::Rotary::Pairs::halves, .width = width, .frequencies = g.constant(std::move(frequencies))};
}

// The model, once: shapes and names, no numbers, no device. It reads like the forward function it describes.
void text_entry(const Config& c, Graph& g) {
  const Sizes s = sizes(c, g);
  const auto eps = static_cast<float>(c.get("layer_norm_eps", 1e-5));
  if (const std::string act = c.string("hidden_act", "gelu_new"); act != "gelu_new")
    g.error("'hidden_act' is '" + act + "', expected gelu_new");
  if (c.flag("qk_layernorm", false)) g.error("'qk_layernorm' is true, expected false");
  const tare::Rotary rope = rotary(c, g, s.rotary_width);
  const tare::Attention attention{.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(s.head_width)))};

  Tensor x = g.embed(g.weight("model.embed_tokens.weight", {s.vocab, s.hidden}));  // [tokens, hidden]
  for (int64_t i = 0; i < c.count("num_hidden_layers"); ++i) {
    const Graph l = g.layer(i, "model.layers"), a = l.scope("self_attn"), m = l.scope("mlp");
    const Tensor h = l.layer_norm(x, norm(l, "input_layernorm", s.hidden), eps);
    const auto [q, k, v] = a.stacked(h, {product(a, "q_proj", {s.heads, s.head_width}, s.hidden),
                                         product(a, "k_proj", {s.kv_heads, s.head_width}, s.hidden),
                                         product(a, "v_proj", {s.kv_heads, s.head_width}, s.hidden)});
    const Tensor mixed = a.attention(a.rotary(q, rope), a.rotary(k, rope), v, a.state(tare::full()), attention);
    const Tensor attended = a.linear(
        mixed, {a.weight("dense.weight", {s.hidden, s.heads, s.head_width}), a.weight("dense.bias", {s.hidden})});
    const Tensor up = m.activate(m.linear(h, product(m, "fc1", {s.ffn}, s.hidden)), Activation::gelu_tanh);
    x = l.add(l.add(attended, m.linear(up, product(m, "fc2", {s.hidden}, s.ffn))), x);
  }
  x = g.layer_norm(g.logit_rows(x), norm(g, "model.final_layernorm", s.hidden), eps);
  g.output("logits", g.linear_f32(x, product(g, "lm_head", {s.vocab}, s.hidden)));
}

tare::Status register_phi(tare::Registrar& registrar) {
  registrar.add_model(
      {.id = "org.example.phi",
       .architectures = {"PhiForCausalLM"},
       .entries = {{"text", text_entry}},
       // Those that are read, and those that are known to be harmless.
       .config_keys = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                       "num_key_value_heads", "partial_rotary_factor", "rope_theta", "rope_parameters",
                       "layer_norm_eps", "hidden_act", "qk_layernorm", "max_position_embeddings", "tie_word_embeddings",
                       "resid_pdrop", "embd_pdrop", "attention_dropout"},
       .gguf = {}});
  return {};
}

}  // namespace

TARE_PLUGIN("org.example.phi", "1.0.0", register_phi)
