// trainer: trains vision models from YAML. Without a subcommand it trains.
#include <CLI/CLI.hpp>
#include <csignal>
#include <exception>
#include <map>

#include "apps/trainer/arguments.h"
#include "apps/trainer/command.h"
#include "lib/base/crash.h"
#include "lib/base/log.h"
#include "lib/base/text.h"

namespace trainer::app {
namespace {

constexpr const char* examples = R"(Examples:
  trainer --cfg configs/digits/cnn.yaml                            train
  trainer --cfg configs/digits/cnn.yaml --opts DATA.BATCH_SIZE 128 TRAIN.EPOCHS 40
  trainer --cfg configs/digits/cnn.yaml --dry-run                  layers, shapes, parameters; trains nothing
  trainer --cfg exp.yaml --eval --pretrained model.safetensors     accuracy of saved weights
  trainer predict --cfg exp.yaml --weights model.safetensors --input x.safetensors --output y.safetensors
  trainer models 'resnet*'                                         what can be trained)";

/// All flags and subcommands there are, for suggestions.
std::vector<std::string> known_words(const CLI::App& app) {
  std::vector<std::string> words;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) words.push_back("--" + name);
  }
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    words.push_back(sub->get_name());
  words.push_back("--opts");
  return words;
}

/// Type names as we give them, without the validators that CLI11 appends.
class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    std::string text = type.empty() ? "" : " " + type.substr(0, type.find(':'));
    if (option->get_required()) text += " (required)";
    return text;
  }
};

int run(const std::vector<std::string>& words) {
  const Arguments arguments = take_opts(words);

  CLI::App app("Trains vision models, configured by YAML.", "trainer");
  app.footer(examples);
  app.formatter(std::make_shared<HelpFormatter>());
  app.set_version_flag("--version", version_text, "version, compiler, libraries, devices");
  app.set_help_flag("-h,--help", "this help");
  app.option_defaults()->always_capture_default(false);

  std::map<CLI::App*, Action> actions;
  const Action train = add_train(app, arguments.opts);
  const auto subcommand = [&](const char* name, const char* what) { return app.add_subcommand(name, what); };
  CLI::App* devices = subcommand("devices", "the machine's devices");
  actions[devices] = add_devices(*devices);
  CLI::App* models = subcommand("models", "registered models, their parameters and multiply-accumulates");
  actions[models] = add_models(*models);
  CLI::App* inspect = subcommand("inspect", "tensors of a weights file; what would not fit a model");
  actions[inspect] = add_inspect(*inspect, arguments.opts);
  CLI::App* keys = subcommand("config", "the tree of configuration keys");
  actions[keys] = add_config(*keys);
  CLI::App* predict = subcommand("predict", "logits (and features) of a model for an input file");
  actions[predict] = add_predict(*predict, arguments.opts);
  app.require_subcommand(0, 1);

  std::vector<std::string> reversed(arguments.flags.rbegin(),
                                    arguments.flags.rend());  // CLI11 wants the last word first
  try {
    app.parse(reversed);
  } catch (const CLI::ExtrasError&) {
    const CLI::App* used = app.get_subcommands().empty() ? &app : app.get_subcommands().front();
    std::string text;
    for (const std::string& word : app.remaining(true)) {
      if (!text.empty() && !word.starts_with("-")) continue;  // an unknown flag's value
      text += fmt::format("{}unknown argument {}{}", text.empty() ? "" : "\n", word,
                          did_you_mean(word, known_words(*used)));
    }
    fail(Exit::usage, "{}", text);
  } catch (const CLI::Success& done) {  // --help, --version
    return app.exit(done);
  } catch (const CLI::ParseError& problem) {
    fail(Exit::usage, "{} (see trainer --help)", problem.what());
  }
  for (CLI::App* sub : app.get_subcommands()) return actions.at(sub)();
  return train();
}

}  // namespace
}  // namespace trainer::app

int main(int argc, char** argv) {
  using trainer::Exit;
  trainer::install_crash_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of a write, not the end of a training
  std::signal(SIGUSR1,
              SIG_IGN);  // "save": there is nothing to save before a run has begun (lib/base/signals.h)
  try {
    return trainer::app::run({argv + 1, argv + argc});
  } catch (const trainer::Error& e) {
    trainer::log::error("{}", e.what());
    return static_cast<int>(e.code());
  } catch (const std::bad_alloc&) {
    trainer::log::error("out of memory");
  } catch (const std::exception& e) {
    trainer::log::error("{}", e.what());
  }
  return static_cast<int>(Exit::internal);
}
